/* terminated - what a gateway's PROXY header tells of the TLS that it has terminated for a client.
 *
 * Believed only from the gateway's own socket: see terminated_listen. */
#ifndef POSTERN_BACKEND_TERMINATED_H
#define POSTERN_BACKEND_TERMINATED_H

#include "lib/check.h"
#include "lib/pp2.h"
#include "lib/tls.h"

#include <openssl/x509.h>

/* Of texts, with their NUL; an ALPN name that is longer is not ours.  Each session keeps these. */
enum { TERMINATED_VERSION_BYTES = 16, TERMINATED_CIPHER_BYTES = 48, TERMINATED_ALPN_BYTES = 32 };

struct terminated {
    char version[TERMINATED_VERSION_BYTES]; /* printable ASCII; "": not told */
    char cipher[TERMINATED_CIPHER_BYTES];   /* likewise */
    uint8_t alpn[TERMINATED_ALPN_BYTES];
    size_t alpn_len; /* 0: none was negotiated */
    bool has_exporter;
    uint8_t exporter[TLS_EXPORTER_BYTES];
    size_t end_point_len; /* 0: none */
    uint8_t end_point[TLS_END_POINT_MAX_BYTES];
    STACK_OF(X509) * chain; /* the client's, leaf first; NULL: none */
    bool verified;          /* the gateway's check of the chain passed */
};

/* terminated_read - NULL and a static text in *why: the client does not use TLS, or an old one; something is told
 * twice, has a wrong length or contradicts itself. */
MUSTCHECK struct terminated *terminated_read(const struct pp2 *pp, const char **why);
void terminated_free(struct terminated **terminated);

/* terminated_forget - after authentication: only what logs and lists show is kept. */
void terminated_forget(struct terminated *terminated);

#endif
