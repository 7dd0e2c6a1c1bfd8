#include "gateway/secure.h"

#include "lib/mem.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

struct secure *secure_new(struct tls_service *service, SSL *ssl, int fd)
{
    struct secure *secure = MEM_NEW(struct secure);
    secure->service = service;
    secure->wire.fd = fd;
    wire_take_tls(&secure->wire, ssl);
    return secure;
}

ssize_t secure_send(struct secure *secure, const void *data, size_t len)
{
    size_t put = 0;
    switch (wire_write(&secure->wire, data, len, &put)) {
    case WIRE_OK:
        return (ssize_t)put;
    case WIRE_WANT_READ:
    case WIRE_WANT_WRITE:
        return 0;
    case WIRE_END:
    case WIRE_BROKEN:
        break;
    }
    return -1;
}

void secure_end(struct secure *secure)
{
    if (secure->wire.why == NULL && wire_end(&secure->wire) == WIRE_OK) return;
    (void)shutdown(secure->wire.fd, SHUT_WR);
}

void secure_free(struct secure **secure, bool in_order)
{
    struct secure *old = *secure;
    if (old == NULL) return;
    *secure = NULL;
    loop_defer_cancel(&old->again);
    if (in_order) secure_end(old);
    SSL_free(old->wire.ssl);
    buf_free(&old->ahead);
    free(old);
}

bool secure_is_cut(const struct secure *secure)
{
    return secure->wire.eof && !secure->wire.by_socket && !secure->wire.alert_sent;
}
