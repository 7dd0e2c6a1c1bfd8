#include "backend/stream_tls.h"

#include "backend/stream.h"
#include "backend/terminated.h"
#include "lib/tls_ask.h"

#include <string.h>

/* NULL: TLS is not up, or not ours. */
static SSL *ssl_of(const struct stream *stream)
{
    return stream->secure ? io_ssl(stream->io) : NULL;
}

const char *stream_tls_version(const struct stream *stream)
{
    const struct terminated *t = stream->terminated;
    SSL *ssl = ssl_of(stream);
    if (t) return t->version[0] ? t->version : NULL;
    return ssl ? SSL_get_version(ssl) : NULL;
}

const char *stream_tls_cipher(const struct stream *stream)
{
    const struct terminated *t = stream->terminated;
    SSL *ssl = ssl_of(stream);
    if (t) return t->cipher[0] ? t->cipher : NULL;
    return ssl ? SSL_get_cipher_name(ssl) : NULL;
}

const char *stream_tls_alpn(const struct stream *stream, size_t *len)
{
    const struct terminated *t = stream->terminated;
    const unsigned char *alpn = t && t->alpn_len > 0 ? t->alpn : NULL;
    unsigned alpn_len = t ? (unsigned)t->alpn_len : 0;
    SSL *ssl = ssl_of(stream);
    if (ssl) SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    *len = alpn_len;
    return (const char *)alpn;
}

bool stream_tls_exporter(const struct stream *stream, uint8_t out[TLS_EXPORTER_BYTES])
{
    const struct terminated *t = stream->terminated;
    SSL *ssl = ssl_of(stream);
    if (!t) return ssl && tls_exporter(ssl, out);
    if (t->has_exporter) memcpy(out, t->exporter, TLS_EXPORTER_BYTES);
    return t->has_exporter;
}

size_t stream_tls_end_point(const struct stream *stream, uint8_t out[TLS_END_POINT_MAX_BYTES])
{
    const struct terminated *t = stream->terminated;
    SSL *ssl = ssl_of(stream);
    if (!t) return ssl ? tls_server_end_point(ssl, out) : 0;
    memcpy(out, t->end_point, t->end_point_len);
    return t->end_point_len;
}

STACK_OF(X509) * stream_tls_chain(const struct stream *stream)
{
    SSL *ssl = ssl_of(stream);
    if (stream->terminated) return stream->terminated->chain ? X509_chain_up_ref(stream->terminated->chain) : NULL;
    return ssl ? tls_ask_chain(ssl) : NULL;
}

bool stream_tls_is_doubted(const struct stream *stream)
{
    return stream->terminated && stream->terminated->chain && !stream->terminated->verified;
}
