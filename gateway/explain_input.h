/* explain_input - the first bytes of the connection that is to be explained: given, from a file, or composed. */
#ifndef POSTERN_GATEWAY_EXPLAIN_INPUT_H
#define POSTERN_GATEWAY_EXPLAIN_INPUT_H

#include "gateway/clienthello.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the command line says; NULL: not given. */
struct explain_request {
    const char *listener;    /* its title; the first of the file when not given */
    const char *source;      /* the client's address, with or without a port; unknown when not given */
    const char *destination; /* the address that it connects to, likewise */
    const char *inside;      /* title of a tls section: sni, alpn and tls_version are what was negotiated, and the bytes
                                are plaintext */
    const char *sni, *alpn, *tls_version; /* any: a ClientHello of OpenSSL's with them; ALPN names are separated by
                                             commas, and the version is the only one offered */
    const char *hex;                      /* bytes in hexadecimal, blanks and colons between them are fine */
    const char *file;                     /* bytes as they are */
    bool silent;                          /* no bytes until peek-timeout */
};

struct explain_input {
    uint8_t *bytes; /* free() them */
    size_t len;
    struct addr source, destination;
    struct clienthello negotiated; /* with inside */
};

/* explain_input - what the request stands for; bytes beyond limit are left out.  Returns 0, or -1 and a message in
 * error (cap bytes) and no bytes: not exactly one kind of client, or something malformed. */
MUSTCHECK int explain_input(const struct explain_request *request, size_t limit, struct explain_input *out, char *error,
                            size_t cap);

#endif
