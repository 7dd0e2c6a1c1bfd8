/* buf - a growable byte queue: append at the end, consume at the front.
 *
 * A zeroed struct buf is an empty one and holds no memory.  When the last byte is consumed the memory is
 * given back, so that an idle connection holds none. */
#ifndef POSTERN_LIB_BUF_H
#define POSTERN_LIB_BUF_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *mem;
    size_t start, end, cap; /* bytes [start, end) of mem are in use; 0 <= start <= end <= cap */
    bool secret;            /* set by the owner: bytes are overwritten when their memory is given back */
};

static inline const uint8_t *buf_data(const struct buf *b)
{
    return b->mem ? b->mem + b->start : b->mem;
}

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

/* buf_reserve - room for at least len more bytes at the returned place; make them count with buf_commit. */
MUSTCHECK uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);

/* buf_append_slowly - buf_append where there may be no room. */
void buf_append_slowly(struct buf *b, const void *data, size_t len);

/* Inline, for printing is made of little else: most pieces fit, and the length of a literal is known. */
static inline void buf_append(struct buf *b, const void *data, size_t len)
{
    if (len > b->cap - b->end || len == 0) {
        buf_append_slowly(b, data, len);
        return;
    }
    memcpy(b->mem + b->end, data, len);
    b->end += len;
}

static inline void buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* buf_consume - drop len bytes at the front; len <= buf_len. */
void buf_consume(struct buf *b, size_t len);

/* buf_free - drop everything; the struct is an empty buf again. */
void buf_free(struct buf *b);

#endif
