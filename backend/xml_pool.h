/* xml_pool - the Expat parsers of one thread's streams: few exist at once, however many streams there are.
 *
 * A parser costs much more than the stream's header from which it can be made again, so beyond XML_POOL_PARSERS the
 * stream that has not used its own for longest gives it back.  Streams that are in the middle of a stanza keep theirs.
 */
#ifndef POSTERN_BACKEND_XML_POOL_H
#define POSTERN_BACKEND_XML_POOL_H

#include "lib/list.h"

#include <expat.h>
#include <stdbool.h>

enum { XML_POOL_PARSERS = 48 };

struct xml_pool;

struct xml_pool *xml_pool_new(void);

/* xml_pool_free - after all streams that use it. */
void xml_pool_free(struct xml_pool **pool);

/* One that uses the pool; zeroed at first.  give_back is asked to call xml_pool_give, and returns false when it cannot
 * at the moment. */
struct xml_user {
    struct list link;
    bool (*give_back)(struct xml_user *user);
};

/* In what follows a pool may be NULL: nothing is shared then. */

/* xml_pool_take - a parser as new.  separator: as for XML_ParserCreate_MM. */
XML_Parser xml_pool_take(struct xml_pool *pool, struct xml_user *user, const char *separator);

/* xml_pool_touch - the user has just used its parser. */
void xml_pool_touch(struct xml_pool *pool, struct xml_user *user);

/* xml_pool_give - the user's parser is the pool's again; spent: it has met so much that it is not to be used again. */
void xml_pool_give(struct xml_pool *pool, struct xml_user *user, XML_Parser parser, bool spent);

#endif
