/* elem - a parsed XML element: a stanza is one with all that is in it, living in one arena.
 *
 * Whoever holds the arena holds the stanza: it may be handed to another thread, never shared by two. */
#ifndef POSTERN_BACKEND_ELEM_H
#define POSTERN_BACKEND_ELEM_H

#include "lib/buf.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct elem_attr {
    struct elem_attr *next;
    const char *ns; /* NULL: none, as for nearly every attribute */
    const char *name;
    const char *value;
};

/* Content in document order: each node is an element or a run of text. */
struct elem {
    struct arena *arena;
    struct elem *next;   /* sibling */
    struct elem *parent; /* NULL at the root */
    const char *ns;      /* of an element; never NULL there ("" is no namespace) */
    const char *name;    /* of an element; NULL in a run of text */
    const char *text;    /* of a run of text; NULL in an element */
    size_t text_len;     /* bytes */
    struct elem_attr *attrs, *attrs_last;
    struct elem *first, *last; /* content */
};

/* elem_new - a root in an arena (borrowed; usually the stanza owns it by convention: see elem_free). */
struct elem *elem_new(struct arena *arena, const char *ns, const char *name);

/* elem_free - free the arena that the element lives in, and so all of it. */
void elem_free(struct elem **root);

/* elem_copy - a deep copy in an arena of its own. */
struct elem *elem_copy(const struct elem *e);

/* elem_add - append a new child element; ns NULL means the parent's.  Strings are copied into the arena. */
struct elem *elem_add(struct elem *parent, const char *ns, const char *name);
/* elem_add_copy - append a deep copy of another tree. */
struct elem *elem_add_copy(struct elem *parent, const struct elem *e);
void elem_add_text(struct elem *parent, const char *text, size_t len);

/* elem_remove_all - take out the child elements that match; whether there were any.  One pass: a peer chooses how many
 * there are. */
typedef bool elem_match_fn(const struct elem *child, const void *arg);
bool elem_remove_all(struct elem *parent, elem_match_fn *match, const void *arg);

void elem_set(struct elem *e, const char *name, const char *value); /* replaces; NULL value removes */
void elem_set_ns(struct elem *e, const char *ns, const char *name, const char *value);

/* elem_change_ns - give all elements of the tree that are in one namespace another (to: kept by the caller for ever).
 */
void elem_change_ns(struct elem *root, const char *from, const char *to);

/* elem_same - whether two names are equal, quickly where they are one string (namespaces are shared) or begin
 * differently.
 */
static inline bool elem_same(const char *a, const char *b)
{
    return a == b || (*a == *b && strcmp(a, b) == 0);
}

const char *elem_get(const struct elem *e, const char *name); /* NULL when there is none */
const char *elem_get_ns(const struct elem *e, const char *ns, const char *name);
bool elem_is(const struct elem *e, const char *ns, const char *name);
/* elem_child - the first child element; NULL ns or name matches any. */
struct elem *elem_child(const struct elem *e, const char *ns, const char *name);
/* elem_next_element - the next sibling element after e, or NULL. */
struct elem *elem_next_element(const struct elem *e);
/* elem_text - all direct text, joined, in the arena; "" when there is none. */
const char *elem_text(const struct elem *e, size_t *len);

/* elem_print - append as XML to out.  default_ns is the default namespace in force where it will stand: an xmlns is
 * written only where it changes.  Declares prefixes for attributes with a namespace (xml: needs none). */
void elem_print(const struct elem *e, const char *default_ns, struct buf *out);

/* elem_escape - text as XML character data or attribute value. */
void elem_escape(const char *text, size_t len, struct buf *out);

#endif
