/* hex - numbers of a fixed width, in lower case. */
#ifndef POSTERN_BENCH_BACKEND_HEX_H
#define POSTERN_BENCH_BACKEND_HEX_H

#include <stdbool.h>
#include <stdint.h>

/* hex_write - returns where it ends. */
static inline char *hex_write(char *out, uint64_t value, int chars)
{
    for (int i = chars - 1; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
    return out + chars;
}

/* hex_read - false: it is none. */
static inline bool hex_read(const char *at, int chars, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < chars; i++) {
        unsigned c = (unsigned char)at[i];
        unsigned decimal = c - '0', letter = c - 'a', digit = decimal < 10 ? decimal : letter < 6 ? letter + 10 : 16;
        if (digit > 15) return false;
        *value = *value << 4 | digit;
    }
    return true;
}

#endif
