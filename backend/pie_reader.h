/* pie_reader - reads an XEP-0227 document as it comes, one user after another.
 *
 * What goes before a user in an instruction <?postern-at FILE:LINE?> says where it was read.  Comments and other
 * instructions mean nothing; a document type declaration is refused, and so there are no entities.  The cost of one
 * user is bounded: one that is too large or too deep is handed out with a fault instead of its content. */
#ifndef POSTERN_BACKEND_PIE_READER_H
#define POSTERN_BACKEND_PIE_READER_H

#include "backend/elem.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct pie_reader;

/* A user as it was read: alive during the call.  elem has the user's content, and may be taken by setting it to NULL
 * (elem_free). */
struct pie_user {
    const char *host;  /* as it stands there */
    const char *place; /* "FILE:LINE", "" when nothing says so */
    struct elem *elem;
    const char *fault; /* NULL: none; else static, and elem has the attributes only */
};

typedef void pie_reader_fn(struct pie_user *user, void *arg);

struct pie_reader *pie_reader_new(pie_reader_fn *fn, void *arg);
void pie_reader_free(struct pie_reader **reader);

/* pie_reader_feed - len more bytes; last: nothing follows.  Returns 0, or -1 and a message with the line in why: then
 * no more users come. */
MUSTCHECK int pie_reader_feed(struct pie_reader *reader, const char *data, size_t len, bool last, char *why,
                              size_t cap);

#endif
