#include "lib/buf.h"

#include "lib/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_BYTES = 256 };

static void give_back(struct buf *b)
{
    if (b->secret) mem_wipe(b->mem, b->cap);
    free(b->mem);
    mem_count_freed(b->cap);
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
    size_t used = buf_len(b);
    if (b->mem && b->cap - b->end >= len) return b->mem + b->end;
    CHECK(len <= SIZE_MAX / 4 && used <= SIZE_MAX / 4);
    /* Moving is worth it only when it wins as much as it costs: else a long queue moves at every append. */
    if (b->mem && b->cap - used >= len && b->start >= used) {
        memmove(b->mem, b->mem + b->start, used);
    } else {
        size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
        while (cap < used + len)
            cap *= 2;
        uint8_t *mem = mem_realloc(NULL, cap);
        if (b->mem) memcpy(mem, b->mem + b->start, used);
        give_back(b);
        b->mem = mem;
        b->cap = cap;
    }
    b->start = 0;
    b->end = used;
    return b->mem + b->end;
}

void buf_commit(struct buf *b, size_t len)
{
    CHECK(len <= b->cap - b->end);
    b->end += len;
}

void buf_append_slowly(struct buf *b, const void *data, size_t len)
{
    if (len == 0) return;
    memcpy(buf_reserve(b, len), data, len);
    buf_commit(b, len);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(len >= 0);
    if (len > 0) {
        uint8_t *room = buf_reserve(b, (size_t)len + 1); /* vsnprintf adds a NUL that is not committed */
        vsnprintf((char *)room, (size_t)len + 1, fmt, again);
        buf_commit(b, (size_t)len);
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t len)
{
    CHECK(len <= buf_len(b));
    b->start += len;
    if (b->start == b->end) buf_free(b);
}

void buf_free(struct buf *b)
{
    give_back(b);
    *b = (struct buf){.secret = b->secret};
}
