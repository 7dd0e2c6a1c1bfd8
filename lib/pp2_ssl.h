/* pp2_ssl - what a PROXY version 2 header says about the TLS that was terminated on the way.
 *
 * Source: The PROXY protocol, versions 1 & 2 (HAProxy, proxy-protocol.txt), section 2.2.6 (PP2_TYPE_SSL); the chain is
 * our own, PP2_TLV_POSTERN_CHAIN. */
#ifndef POSTERN_LIB_PP2_SSL_H
#define POSTERN_LIB_PP2_SSL_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The bits of struct pp2_ssl's client. */
enum pp2_ssl_client {
    PP2_CLIENT_SSL = 0x01,       /* the client is connected by TLS */
    PP2_CLIENT_CERT_CONN = 0x02, /* and gave a certificate on this connection */
    PP2_CLIENT_CERT_SESS = 0x04, /* or on an earlier one of the TLS session that this one resumes */
};

enum pp2_ssl_subtype {
    PP2_SUBTYPE_SSL_VERSION = 0x21, /* as SSL_get_version() has it: "TLSv1.3" */
    PP2_SUBTYPE_SSL_CN = 0x22,      /* the common name of the client's certificate, UTF-8 */
    PP2_SUBTYPE_SSL_CIPHER = 0x23,  /* as SSL_CIPHER_get_name() has it */
    PP2_SUBTYPE_SSL_SIG_ALG = 0x24, /* how the server's certificate is signed: "RSA-SHA256" */
    PP2_SUBTYPE_SSL_KEY_ALG = 0x25, /* the key of the server's certificate: "RSA2048" */
};

/* Not NUL-terminated; NULL: not said. */
struct pp2_text {
    const char *text;
    uint16_t len;
};

struct pp2_ssl {
    uint8_t client;  /* enum pp2_ssl_client, joined */
    uint32_t verify; /* 0: the client gave a certificate, and the terminator's check of it passed */
    struct pp2_text version, cn, cipher, sig_alg, key_alg;
};

enum {
    PP2_SSL_MAX_BYTES = 1024,            /* what pp2_ssl_encode ever needs, for texts of 200 bytes at most each */
    PP2_CHAIN_LENGTH_BYTES = 3,          /* before each certificate */
    PP2_CHAIN_CERTIFICATE_MAX = 0xffffff /* bytes */
};

/* pp2_ssl_decode - read the value of a PP2_TLV_SSL.  Returns 0, or -1 and *why: shorter than its fixed part, a sub TLV
 * that overruns, one of ours twice.  Unknown sub types are skipped.  out borrows from value. */
MUSTCHECK int pp2_ssl_decode(const uint8_t *value, size_t len, struct pp2_ssl *out, const char **why);

/* pp2_ssl_encode - write the value of a PP2_TLV_SSL; texts that are NULL are left out.  Returns its length in bytes, or
 * -1 when cap is too small. */
MUSTCHECK ssize_t pp2_ssl_encode(const struct pp2_ssl *ssl, uint8_t *out, size_t cap);

/* pp2_chain_next - take the next certificate (DER) off a chain at *at with *left bytes; both move on behind it.
 * Returns 1, 0 at the end, -1 for an empty certificate or one that overruns. */
MUSTCHECK int pp2_chain_next(const uint8_t **at, size_t *left, const uint8_t **der, size_t *der_len);

/* pp2_chain_append - write one more certificate behind the *used bytes at out, and count it in *used.  false, with
 * nothing written, when it does not fit into cap, is empty or longer than PP2_CHAIN_CERTIFICATE_MAX. */
MUSTCHECK bool pp2_chain_append(uint8_t *out, size_t cap, size_t *used, const uint8_t *der, size_t der_len);

#endif
