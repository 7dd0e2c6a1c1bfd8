#include "lib/utf8.h"

#include <string.h>

size_t utf8_len(const unsigned char *s, size_t left)
{
    unsigned low = 0x80, high = 0xbf;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > left) return 0;
    if (s[0] == 0xe0) low = 0xa0;
    if (s[0] == 0xed) high = 0x9f;
    if (s[0] == 0xf0) low = 0x90;
    if (s[0] == 0xf4) high = 0x8f;
    for (size_t i = 1; i < len; i++) {
        if (s[i] < low || s[i] > high) return 0;
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

bool utf8_is_text(const char *text)
{
    size_t left = strlen(text), n;
    for (; left > 0; text += n, left -= n) {
        n = utf8_len((const unsigned char *)text, left);
        if (n == 0) return false;
    }
    return true;
}
