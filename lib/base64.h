/* base64 - the encoding of RFC 4648 section 4, strict: no white space, no missing padding, no stray bits. */
#ifndef POSTERN_LIB_BASE64_H
#define POSTERN_LIB_BASE64_H

#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The bytes that base64_encode writes for len bytes of data, with the NUL; what base64_decode writes at most. */
#define BASE64_TEXT_BYTES(len) (((len) + 2) / 3 * 4 + 1)
#define BASE64_DATA_BYTES(len) ((len) / 4 * 3)

/* base64_encode - write len bytes as text with a NUL into out; returns the text's length in bytes. */
size_t base64_encode(const void *data, size_t len, char *out);

/* base64_decode - read len bytes of text into out (BASE64_DATA_BYTES(len) bytes, not the text itself).
 * Returns the number of bytes, or -1 when the text is not strict base64 of something. */
MUSTCHECK ssize_t base64_decode(const char *text, size_t len, uint8_t *out);

#endif
