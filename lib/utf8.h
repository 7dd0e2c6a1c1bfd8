/* utf8 - what is well-formed UTF-8. */
#ifndef POSTERN_LIB_UTF8_H
#define POSTERN_LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* utf8_len - the length in bytes of the sequence at the start of s (left > 0 bytes), or 0 if there is none: overlong,
 * cut, a surrogate, above U+10FFFF.  Source: RFC 3629 section 4. */
size_t utf8_len(const unsigned char *s, size_t left);

/* utf8_is_text - whether all of a text is well-formed. */
bool utf8_is_text(const char *text);

#endif
