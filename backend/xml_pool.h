/* xml_pool - Expat parsers of this thread that nobody uses at the moment: few exist, however many streams there are.
 *
 * Between two stanzas a parser remembers nothing of its stream but the namespaces that the root's start tag declares,
 * so it serves any stream whose root declares the same: nearly all declare what the next one does.  What a root's start
 * tag is to a parser is called its dialect: the tag's name and its declarations, as text. */
#ifndef POSTERN_BACKEND_XML_POOL_H
#define POSTERN_BACKEND_XML_POOL_H

#include "lib/check.h"

#include <expat.h>
#include <stddef.h>

#define XML_POOL_SEPARATOR                                                                                             \
    "\xFF" /* between a namespace and a name, as Expat tells them: a byte that UTF-8 never has                         \
            */

enum {
    XML_POOL_PARSERS = 16,
    /* Then it is not used again, since Expat keeps every name that it has ever met, and a peer may make up many. */
    XML_POOL_PARSER_MAX_BYTES = 64 * 1024,
};

struct xml_parser {
    XML_Parser expat;
    char *dialect; /* in whose content it is; NULL: before a document */
    size_t bytes;  /* that it has read; its user counts them */
};

/* xml_pool_take - a parser before a document (dialect NULL), or in the content of a root that is known to be good.  It
 * has no user data, and handlers of whoever used it last or none.  Give it back, on the same thread. */
MUSTCHECK struct xml_parser *xml_pool_take(const char *dialect);

/* xml_pool_give - the parser is between two stanzas of this dialect; NULL: it is anywhere, and may have failed. */
void xml_pool_give(struct xml_parser **parser, const char *dialect);

/* xml_pool_dialect - that of a root's start tag of len bytes, in which Expat has found no fault.  Free with free(). */
MUSTCHECK char *xml_pool_dialect(const char *tag, size_t len);

#endif
