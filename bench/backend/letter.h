/* letter - the chat messages: each says its number, who wrote it and when it was due, beside a sentence. */
#ifndef POSTERN_BENCH_BACKEND_LETTER_H
#define POSTERN_BENCH_BACKEND_LETTER_H

#include "bench/backend/scan.h"

#include <stdint.h>

enum { LETTER_MAX_BYTES = 256 }; /* without the address */

struct letter {
    uint32_t number, sender;
    int64_t due_ns;
};

/* letter_write - returns its length, at most LETTER_MAX_BYTES and the address. */
size_t letter_write(char *out, struct text to, const struct letter *letter);

/* letter_read - NULL if the message is whole and as it was written, else what is wrong with it. */
const char *letter_read(struct text message, const struct scan_stanza *stanza, struct letter *letter);

#endif
