#include "backend/xml_pool.h"

#include "lib/mem.h"

#include <stdlib.h>

enum { LOOK_AT_MOST = 8 }; /* users that may be in the middle of something */

static const XML_Memory_Handling_Suite MEMORY = {mem_alloc, mem_realloc, free};

struct xml_pool {
    struct list users; /* who has a parser; the one that has not used it for longest first */
    unsigned in_use;
    unsigned spare_count;
    XML_Parser spare[XML_POOL_PARSERS];
};

struct xml_pool *xml_pool_new(void)
{
    struct xml_pool *pool = MEM_NEW(struct xml_pool);
    list_init(&pool->users);
    return pool;
}

void xml_pool_free(struct xml_pool **pool)
{
    struct xml_pool *p = *pool;
    if (!p) return;
    *pool = NULL;
    CHECK(p->in_use == 0);
    while (p->spare_count > 0)
        XML_ParserFree(p->spare[--p->spare_count]);
    free(p);
}

/* make_room - one that can gives its parser back; those that cannot are not asked again soon. */
static void make_room(struct xml_pool *pool)
{
    for (unsigned i = 0; i < LOOK_AT_MOST && !list_empty(&pool->users); i++) {
        struct xml_user *user = LIST_ENTRY(list_first(&pool->users), struct xml_user, link);
        if (user->give_back(user)) return;
        xml_pool_touch(pool, user);
    }
}

XML_Parser xml_pool_take(struct xml_pool *pool, struct xml_user *user, const char *separator)
{
    if (!pool) return XML_ParserCreate_MM("UTF-8", &MEMORY, separator);
    if (pool->in_use >= XML_POOL_PARSERS) make_room(pool);
    XML_Parser parser =
        pool->spare_count > 0 ? pool->spare[--pool->spare_count] : XML_ParserCreate_MM("UTF-8", &MEMORY, separator);
    CHECK(parser != NULL);
    pool->in_use++;
    list_append(&pool->users, &user->link);
    return parser;
}

void xml_pool_touch(struct xml_pool *pool, struct xml_user *user)
{
    if (!pool) return;
    list_remove(&user->link);
    list_append(&pool->users, &user->link);
}

void xml_pool_give(struct xml_pool *pool, struct xml_user *user, XML_Parser parser, bool spent)
{
    if (!pool) {
        XML_ParserFree(parser);
        return;
    }
    list_remove(&user->link);
    pool->in_use--;
    if (spent || pool->spare_count == XML_POOL_PARSERS || XML_ParserReset(parser, "UTF-8") != XML_TRUE) {
        XML_ParserFree(parser);
    } else {
        pool->spare[pool->spare_count++] = parser;
    }
}
