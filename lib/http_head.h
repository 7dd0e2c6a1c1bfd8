/* http_head - a strict parser for the head of an HTTP/1 request: request line and header fields.
 *
 * What a lenient reader might take in two ways is malformed here: lines that end in anything but CR LF, folded fields,
 * space before a colon, control bytes, two Host fields.  Source: RFC 9112 sections 2.2, 3, 5 and 3.2. */
#ifndef POSTERN_LIB_HTTP_HEAD_H
#define POSTERN_LIB_HTTP_HEAD_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Some bytes of the request; borrowed. */
struct http_text {
    const char *data;
    size_t len;
};

struct http_head {
    struct http_text method;
    struct http_text target;
    bool has_host;
    struct http_text host; /* the value of Host, without space around it */
};

/* http_head_complete - whether the bytes have an empty line, with or without CR: more of them change nothing. */
bool http_head_complete(const uint8_t *data, size_t len);

/* http_head_parse - read a head that begins at data and is complete; bytes behind it are ignored.
 * Returns 0, or -1 if it is malformed or not complete.  out borrows from data. */
MUSTCHECK int http_head_parse(const uint8_t *data, size_t len, struct http_head *out);

/* http_text_is - whether text is word, ignoring the case of letters. */
bool http_text_is(struct http_text text, const char *word);

#endif
