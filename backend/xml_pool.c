#include "backend/xml_pool.h"

#include "backend/xml_scan.h"
#include "lib/buf.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const XML_Memory_Handling_Suite MEMORY = {mem_alloc, mem_realloc, free};

/* The one that was given last is the last. */
struct xml_pool {
    unsigned count;
    struct xml_parser *spare[XML_POOL_PARSERS];
};

static _Thread_local struct xml_pool *own;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;

static void parser_free(struct xml_parser *parser)
{
    XML_ParserFree(parser->expat);
    free(parser->dialect);
    free(parser);
}

static void pool_free(void *arg)
{
    struct xml_pool *pool = arg;
    while (pool->count > 0)
        parser_free(pool->spare[--pool->count]);
    free(pool);
}

static void make_key(void)
{
    CHECK(pthread_key_create(&at_thread_end, pool_free) == 0);
}

static struct xml_pool *pool_of_thread(void)
{
    if (own) return own;
    own = MEM_NEW(struct xml_pool);
    pthread_once(&once, make_key);
    CHECK(pthread_setspecific(at_thread_end, own) == 0);
    return own;
}

static struct xml_parser *take_at(struct xml_pool *pool, unsigned i)
{
    struct xml_parser *parser = pool->spare[i];
    pool->count--;
    memmove(&pool->spare[i], &pool->spare[i + 1], (pool->count - i) * sizeof(struct xml_parser *));
    return parser;
}

static bool is_in(const struct xml_parser *parser, const char *dialect)
{
    if (!parser->dialect || !dialect) return parser->dialect == dialect;
    return strcmp(parser->dialect, dialect) == 0;
}

/* restart - as new.  Expat keeps its tables. */
static bool restart(struct xml_parser *parser)
{
    free(parser->dialect);
    parser->dialect = NULL;
    return XML_ParserReset(parser->expat, "UTF-8") == XML_TRUE;
}

static struct xml_parser *make(void)
{
    struct xml_parser *parser = MEM_NEW(struct xml_parser);
    parser->expat = XML_ParserCreate_MM("UTF-8", &MEMORY, XML_POOL_SEPARATOR);
    CHECK(parser->expat != NULL);
    return parser;
}

/* find - one that is there already; or, with many spare ones of other dialects, the one that nobody has needed for
 * longest. */
static struct xml_parser *find(struct xml_pool *pool, const char *dialect)
{
    for (unsigned i = pool->count; i-- > 0;)
        if (is_in(pool->spare[i], dialect)) return take_at(pool, i);
    if (pool->count < XML_POOL_PARSERS / 2) return NULL;
    struct xml_parser *oldest = take_at(pool, 0);
    if (restart(oldest)) return oldest;
    parser_free(oldest);
    return NULL;
}

struct xml_parser *xml_pool_take(const char *dialect)
{
    struct xml_parser *parser = find(pool_of_thread(), dialect);
    if (!parser) parser = make();
    if (is_in(parser, dialect)) return parser;
#if XML_MAJOR_VERSION > 2 || XML_MINOR_VERSION >= 6
    XML_SetReparseDeferralEnabled(parser->expat, XML_FALSE);
#endif
    CHECK(XML_Parse(parser->expat, dialect, (int)strlen(dialect), 0) == XML_STATUS_OK);
    parser->dialect = mem_strdup(dialect);
    return parser;
}

void xml_pool_give(struct xml_parser **place, const char *dialect)
{
    struct xml_pool *pool = pool_of_thread();
    struct xml_parser *parser = *place;
    *place = NULL;
    bool good = parser->bytes <= XML_POOL_PARSER_MAX_BYTES;
    if (good && !dialect) good = restart(parser);
    if (!good) {
        parser_free(parser);
        return;
    }
    if (!is_in(parser, dialect)) parser->dialect = mem_strdup(dialect);
    if (pool->count == XML_POOL_PARSERS) parser_free(take_at(pool, 0));
    pool->spare[pool->count++] = parser;
}

static size_t white(const char *text, size_t at)
{
    while (xml_scan_is_white((uint8_t)text[at]))
        at++;
    return at;
}

static size_t name_end(const char *text, size_t at)
{
    while (!xml_scan_is_white((uint8_t)text[at]) && !strchr("=/>", text[at]))
        at++;
    return at;
}

char *xml_pool_dialect(const char *tag, size_t len)
{
    struct buf out = {0};
    size_t at = white(tag, 0), end = name_end(tag, at);
    buf_append(&out, tag + at, end - at);
    for (at = white(tag, end); tag[at] != '/' && tag[at] != '>'; at = white(tag, end)) {
        const size_t name = at, name_len = name_end(tag, at) - at;
        at = white(tag, name + name_len) + 1; /* behind the = */
        at = white(tag, at);
        const char *quote = memchr(tag + at + 1, tag[at], len - at - 1);
        CHECK(quote != NULL);
        end = (size_t)(quote - tag) + 1;
        if (name_len < 5 || memcmp(tag + name, "xmlns", 5) != 0 || (name_len > 5 && tag[name + 5] != ':')) continue;
        buf_append(&out, " ", 1);
        buf_append(&out, tag + name, name_len);
        buf_append(&out, "=", 1);
        buf_append(&out, tag + at, end - at);
    }
    buf_append(&out, ">", 1);
    char *dialect = mem_strndup((const char *)buf_data(&out), buf_len(&out));
    buf_free(&out);
    return dialect;
}
