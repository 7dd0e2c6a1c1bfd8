/* tls_bundle - all certificates and keys of a "tls" section in one sealed memfd, from the master to its workers.
 *
 * The form is for processes of one binary on one machine.  What the reader has already (by its id) is not parsed again,
 * so that one renewed certificate among thousands costs little. */
#ifndef POSTERN_GATEWAY_TLS_BUNDLE_H
#define POSTERN_GATEWAY_TLS_BUNDLE_H

#include "lib/check.h"

#include <stddef.h>

struct tls_certs;

/* tls_bundle_write - returns a descriptor (close-on-exec, sealed), or -1 and errno. */
MUSTCHECK int tls_bundle_write(const struct tls_certs *certs);

/* tls_bundle_read - fd stays the caller's.  have: what of these is in the bundle is shared.  Returns a reference, or
 * NULL and *why (static text): it is no bundle. */
MUSTCHECK struct tls_certs *tls_bundle_read(int fd, const struct tls_certs *have, const char **why);

#endif
