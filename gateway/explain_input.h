/* explain_input - the first bytes of the connection that is to be explained: given, from a file, or composed. */
#ifndef POSTERN_GATEWAY_EXPLAIN_INPUT_H
#define POSTERN_GATEWAY_EXPLAIN_INPUT_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the command line says; NULL: not given. */
struct explain_request {
    const char *listener;   /* its title; the first of the file when not given */
    const char *sni, *alpn; /* either: a ClientHello of OpenSSL's with them; ALPN names are separated by commas */
    const char *hex;        /* bytes in hexadecimal, blanks and colons between them are fine */
    const char *file;       /* bytes as they are */
    bool silent;            /* no bytes until peek-timeout */
};

/* explain_input - put the bytes into out and their number into *len; those beyond cap are left out.  Returns 0, or -1
 * and a message in error (error_cap bytes): not exactly one source, malformed, or none. */
MUSTCHECK int explain_input(const struct explain_request *request, uint8_t *out, size_t cap, size_t *len, char *error,
                            size_t error_cap);

#endif
