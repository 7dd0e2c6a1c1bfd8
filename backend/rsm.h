/* rsm - asking for a part of a long list, and saying which part it is.
 *
 * Source: XEP-0059. */
#ifndef POSTERN_BACKEND_RSM_H
#define POSTERN_BACKEND_RSM_H

#include "backend/elem.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stdint.h>

/* What is asked for; texts borrow from the request. */
struct rsm {
    bool has_max;
    uint32_t max;
    const char *after;  /* a UID; NULL: none */
    const char *before; /* a UID, or "": the last page; NULL: none */
    bool has_index;     /* a page by its place */
};

/* rsm_read - the <set/> in parent; without one all is unset.  false: it is malformed. */
MUSTCHECK bool rsm_read(const struct elem *parent, struct rsm *out);

/* A page that was given. */
struct rsm_page {
    const char *first, *last; /* UIDs; NULL: it is empty */
    bool has_count;           /* how many the whole list has is known */
    uint64_t count;
    bool has_index; /* the place of the first is known */
    uint64_t index;
};

/* rsm_add - append the <set/> of an answer to parent. */
void rsm_add(struct elem *parent, const struct rsm_page *page);

#endif
