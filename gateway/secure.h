/* secure - what a connection needs beyond others while the gateway is its TLS server. */
#ifndef POSTERN_GATEWAY_SECURE_H
#define POSTERN_GATEWAY_SECURE_H

#include "lib/buf.h"
#include "lib/check.h"
#include "lib/loop.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <sys/types.h>

struct tls_service;

struct secure {
    struct wire wire;
    struct tls_service *service; /* of the route's "tls" section; borrowed */
    struct buf ahead;            /* decrypted for the second look and not passed on yet; empty while relaying */
    bool settled;                /* the handshake is done; after a failure OpenSSL no longer tells */
    bool read_wants_write;       /* TLS has to write before it can read */
    bool write_wants_read;       /* TLS has to read before it can write */
    bool more;                   /* reading paused at its bound, not for want of bytes: the socket may be silent */
    struct loop_deferred again;  /* then it goes on at the end of the turn */
    bool whole_records;          /* the first bytes have gone out in small records */
};

/* secure_new - takes ssl; fd stays the caller's. */
struct secure *secure_new(struct tls_service *service, SSL *ssl, int fd);

/* secure_send - the bytes that TLS took, 0 when the socket is full, -1 when the connection is broken.  What it did not
 * take comes again, beginning with the same bytes. */
MUSTCHECK ssize_t secure_send(struct secure *secure, const void *data, size_t len);

/* secure_end - end our direction: close_notify, if there is room for it, then FIN. */
void secure_end(struct secure *secure);

/* secure_free - in_order: end with close_notify if that was not done and is possible. */
void secure_free(struct secure **secure, bool in_order);

/* secure_is_cut - whether, after WIRE_BROKEN, it was the client's end without close_notify: bytes may be missing. */
bool secure_is_cut(const struct secure *secure);

#endif
