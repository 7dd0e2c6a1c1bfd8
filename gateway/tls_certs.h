/* tls_certs - the certificates of a "tls" section, found by name.
 *
 * A name is a subjectAltName of type DNS; the common name does not count (RFC 9525 section 2).  "*.example.com" stands
 * for one label.  Finding costs two look-ups in a hash map however many names there are. */
#ifndef POSTERN_GATEWAY_TLS_CERTS_H
#define POSTERN_GATEWAY_TLS_CERTS_H

#include "lib/check.h"
#include "lib/tls_pair.h"

#include <jansson.h>
#include <stddef.h>

/* Certificates for one name stand side by side, one for each kind of key. */
enum { TLS_CERTS_KINDS = 4 };
struct tls_name {
    struct tls_pair *pairs[TLS_CERTS_KINDS]; /* by kind; NULL: none */
};

/* Shared by reference. */
struct tls_certs;

struct tls_certs *tls_certs_new(void);
struct tls_certs *tls_certs_ref(struct tls_certs *certs);
void tls_certs_unref(struct tls_certs **certs);

/* tls_certs_add - pair (a reference is taken) serves its names from now on, except those that an earlier one with the
 * same kind of key serves. */
void tls_certs_add(struct tls_certs *certs, struct tls_pair *pair);
size_t tls_certs_count(const struct tls_certs *certs);
struct tls_pair *tls_certs_at(const struct tls_certs *certs, size_t i);

/* tls_certs_set_default - the certificates for this name are the default, or, when it is NULL or unknown, those for the
 * first name of pair, which was added (NULL: there is none at all). */
void tls_certs_set_default(struct tls_certs *certs, const char *name, const struct tls_pair *pair);

/* tls_certs_default_index, tls_certs_default_name - what tls_certs_set_default was called with: the place of pair, 0
 * when there was none; the name, empty for NULL. */
size_t tls_certs_default_index(const struct tls_certs *certs);
const char *tls_certs_default_name(const struct tls_certs *certs);

/* tls_certs_find - name is clean (lower case, no trailing dot).  NULL: unknown.  tls_certs_default: NULL
 * before tls_certs_set_default. */
const struct tls_name *tls_certs_find(const struct tls_certs *certs, const char *name);
const struct tls_name *tls_certs_default(const struct tls_certs *certs);

/* tls_certs_list - what there is, as an array of objects: file, names, issuer, serial, key, not_before, not_after
 * (seconds since 1970), days_left. */
json_t *tls_certs_list(const struct tls_certs *certs);

#endif
