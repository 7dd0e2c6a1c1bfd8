/* archive_query - what a client asks its archive for.
 *
 * Source: XEP-0313 section 4, XEP-0059. */
#ifndef POSTERN_BACKEND_ARCHIVE_QUERY_H
#define POSTERN_BACKEND_ARCHIVE_QUERY_H

#include "backend/elem.h"
#include "backend/jid.h"
#include "backend/store.h"
#include "lib/check.h"

#include <stdbool.h>

enum {
    ARCHIVE_PAGE = 50,      /* messages in a page of who does not say how many it wants */
    ARCHIVE_PAGE_MAX = 250, /* and of who wants more */
    ARCHIVE_IDS_MAX = 500   /* that may be asked for at once */
};

struct archive_query {
    struct store_archive_query store; /* borrows from what follows */
    struct jid *with;
    uint64_t *ids;
    bool nothing; /* no message can be what is asked for */
    bool flip;    /* the newest first */
};

/* archive_query_read - of a <query/>.  Returns -1, or the error (a stanza error) that answers it: then out needs no
 * archive_query_free. */
MUSTCHECK int archive_query_read(const struct elem *elem, struct archive_query *out);
void archive_query_free(struct archive_query *query);

/* archive_query_form - the fields that a query may have, as a form in parent. */
void archive_query_form(struct elem *parent);

#endif
