/* http_page - small pages of a server about itself, over HTTP/1.1: each request is answered, and the connection ends.
 *
 * Source: RFC 9110, RFC 9112. */
#ifndef POSTERN_LIB_HTTP_PAGE_H
#define POSTERN_LIB_HTTP_PAGE_H

#include "lib/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_PAGE_PLAIN "text/plain; charset=utf-8"

struct http_page {
    const char *path;
    const char *type; /* of its content */
    void (*write)(const void *arg, struct buf *out);
};

/* http_page_answer - append the whole response to a request (head of len bytes, maybe malformed) for one of the pages.
 * allowed: whether the client may ask; else it gets 403. */
void http_page_answer(const struct http_page *pages, size_t count, const void *arg, bool allowed, const uint8_t *head,
                      size_t len, struct buf *out);

#endif
