#include "lib/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const void *data, size_t len, char *out)
{
    const uint8_t *in = data;
    char *o = out;
    size_t i = 0;
    for (; i + 2 < len; i += 3) {
        *o++ = ALPHABET[in[i] >> 2];
        *o++ = ALPHABET[(in[i] & 3) << 4 | in[i + 1] >> 4];
        *o++ = ALPHABET[(in[i + 1] & 15) << 2 | in[i + 2] >> 6];
        *o++ = ALPHABET[in[i + 2] & 63];
    }
    if (i < len) {
        const uint8_t second = i + 1 < len ? in[i + 1] : 0;
        *o++ = ALPHABET[in[i] >> 2];
        *o++ = ALPHABET[(in[i] & 3) << 4 | second >> 4];
        *o++ = i + 1 < len ? ALPHABET[(second & 15) << 2] : '=';
        *o++ = '=';
    }
    *o = '\0';
    return (size_t)(o - out);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

ssize_t base64_decode(const char *text, size_t len, uint8_t *out)
{
    if (len % 4 != 0) return -1;
    size_t padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;

    uint32_t bits = 0;
    unsigned held = 0;
    ssize_t count = 0;
    for (size_t i = 0; i < len - padding; i++) {
        const int value = value_of(text[i]);
        if (value < 0) return -1;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[count++] = (uint8_t)(bits >> held);
        }
    }
    /* bits behind the last byte must be zero, or two texts would mean the same */
    if ((bits & ((1U << held) - 1)) != 0) return -1;
    return count;
}
