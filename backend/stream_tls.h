/* stream_tls - the TLS of a stream's client, be it with us or with a gateway that has terminated it. */
#ifndef POSTERN_BACKEND_STREAM_TLS_H
#define POSTERN_BACKEND_STREAM_TLS_H

#include "lib/check.h"
#include "lib/tls.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

/* NULL: TLS is not up, or a gateway has not told. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream);

/* stream_tls_alpn - the name that was negotiated, *len bytes, not NUL-terminated; NULL: none. */
const char *stream_tls_alpn(const struct stream *stream, size_t *len);

/* The channel bindings, as in lib/tls.h. */
MUSTCHECK bool stream_tls_exporter(const struct stream *stream, uint8_t out[TLS_EXPORTER_BYTES]);
MUSTCHECK size_t stream_tls_end_point(const struct stream *stream, uint8_t out[TLS_END_POINT_MAX_BYTES]);

/* stream_tls_chain - the certificates that the client gave, leaf first, whether trusted or not; NULL: none.  Free with
 * sk_X509_pop_free. */
STACK_OF(X509) * stream_tls_chain(const struct stream *stream);

/* stream_tls_is_doubted - a gateway has checked the chain by its own rules, and does not trust it. */
bool stream_tls_is_doubted(const struct stream *stream);

#endif
