/* tls_config - the "tls" sections of the configuration, read and checked. */
#ifndef POSTERN_GATEWAY_TLS_CONFIG_H
#define POSTERN_GATEWAY_TLS_CONFIG_H

#include "lib/check.h"
#include "lib/option.h"
#include "lib/tls_policy.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_certs;
struct tls_sources;

enum tls_client_certificate {
    TLS_CLIENT_NONE,     /* not asked for */
    TLS_CLIENT_OPTIONAL, /* asked for; any is taken, or none, and whether it verifies is told */
    TLS_CLIENT_REQUIRED, /* must be there and verify */
};

/* Strings are borrowed from the file. */
struct tls_config {
    const char *name; /* the section's title */
    const struct option_section *section;
    struct tls_policy policy;
    bool refuse_unknown; /* an unknown name, or none, gets an alert, not the default certificate */
    bool tickets;
    enum tls_client_certificate client_certificate;
    const char *client_ca;  /* file or folder; NULL: none */
    const char *client_crl; /* file; NULL: none */
    bool any_purpose;       /* a client's certificate may be one for servers only */
    /* NULL until tls_config_load: */
    struct tls_sources *sources; /* where the certificates are read; the master's */
    struct tls_certs *certs;     /* those that are served; a reference */
    SSL_CTX *ctx;                /* policy and verification, without certificates */
};

/* tls_config_read - fill config from a section; files are not touched.  Returns 0, or -1 and a message in error. */
MUSTCHECK int tls_config_read(struct tls_config *config, const struct option_section *section, char *error, size_t cap);

/* tls_config_load - read certificates, keys and CAs, and try all else with OpenSSL; done by who may read keys.  What is
 * doubtful only (a certificate that has expired, a bad file among those of a folder) is logged.  Returns 0, or -1 and a
 * message in error. */
MUSTCHECK int tls_config_load(struct tls_config *config, char *error, size_t cap);

/* tls_config_release - in a worker, which has made its service: give back the certificates and where they are read. */
void tls_config_release(struct tls_config *config);

/* tls_config_clear - give back what tls_config_load got. */
void tls_config_clear(struct tls_config *config);

#endif
