/* scan - find whole top-level elements in a stream, and what stands in their start tags.
 *
 * Not an XML parser: it counts tags and honours quotes, which is enough for what servers write, and costs next to
 * nothing.  What XMPP forbids (comments, processing instructions, CDATA is allowed but written by no server) is
 * SCAN_BAD. */
#ifndef POSTERN_BENCH_BACKEND_SCAN_H
#define POSTERN_BENCH_BACKEND_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A piece of what was read. */
struct text {
    const char *at;
    size_t len;
};
#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})

static inline bool text_is(struct text a, struct text b)
{
    return a.len == b.len && memcmp(a.at, b.at, b.len) == 0;
}

/* text_find - where the part begins in the text, or NULL. */
static inline const char *text_find(struct text in, struct text part)
{
    return memmem(in.at, in.len, part.at, part.len);
}

enum scan_result {
    SCAN_MORE,   /* nothing whole is there yet */
    SCAN_HEADER, /* the start tag of the stream */
    SCAN_END,    /* its end tag */
    SCAN_ELEMENT,
    SCAN_BAD,
};

struct scan_element {
    struct text all, name, tag; /* tag: the start tag, from "<" to ">" */
};

/* scan_next - the first element behind white space.  used: how many bytes are done with; with SCAN_MORE that is the
 * white space. */
enum scan_result scan_next(struct text in, struct scan_element *element, size_t *used);

/* scan_attribute - its value, unescaped by nobody; at = NULL: there is none. */
struct text scan_attribute(struct text tag, struct text name);

/* What every stanza may have, in one pass; at = NULL: missing. */
struct scan_stanza {
    struct text from, to, type, id;
};
void scan_stanza(struct text tag, struct scan_stanza *stanza);

/* scan_inside - the text of the first element with this name that has no attributes; at = NULL: there is none. */
struct text scan_inside(struct text in, struct text name);

#endif
