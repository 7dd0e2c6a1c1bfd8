/* io - one face for a byte stream over plain TCP and over TLS, driven by a loop.
 *
 * Reading uses one buffer for each thread, so an idle stream holds none.  Output is gathered during a turn of the loop
 * and written at its end, so that many small writes become one record. */
#ifndef POSTERN_LIB_IO_H
#define POSTERN_LIB_IO_H

#include "lib/check.h"
#include "lib/loop.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;

/* What io tells its owner, always from the loop, never from inside a call of the owner's.  In any of these the owner
 * may call anything here, io_free included. */
struct io_events {
    /* data arrived; the bytes are valid during the call only, and all len of them are consumed by it. */
    void (*on_data)(void *arg, const uint8_t *data, size_t len);
    /* the TLS handshake begun by io_start_tls or io_connect_tls is complete. */
    void (*on_secure)(void *arg);
    /* the queue of output has fallen to zero; may be NULL. */
    void (*on_drained)(void *arg);
    /* the stream is over: why is a static text ("eof", "reset", "tls: …", "timeout").  clean is true when the peer
     * ended it in order (FIN or close_notify).  Nothing more will be told.  The owner now frees the io. */
    void (*on_end)(void *arg, bool clean, const char *why);
};

/* io_new - take fd (a connected, non-blocking socket) and begin to read.  events are borrowed for the io's life. */
struct io *io_new(struct loop *loop, int fd, const struct io_events *events, void *arg);

/* io_free - close the descriptor at once and free; queued output is lost. */
void io_free(struct io **io);

/* io_start_tls - begin the server's side of a handshake with ctx.  Bytes read earlier and not consumed do not exist by
 * construction, so nothing said before STARTTLS survives it. */
void io_start_tls(struct io *io, SSL_CTX *ctx);

/* io_connect_tls - likewise the client's side, as tls_client_ssl has made it; takes ssl. */
void io_connect_tls(struct io *io, SSL *ssl);

/* io_write - queue len bytes (copied).  io_pending tells how many are queued and not yet taken by the kernel. */
void io_write(struct io *io, const void *data, size_t len);
size_t io_pending(const struct io *io);

/* io_blocked - the kernel took no more at the last try: what is queued waits for the peer, not for the turn's end. */
bool io_blocked(const struct io *io);

/* io_shutdown - after what is queued, end our direction (close_notify, then FIN) and wait at most linger_ms for the
 * peer's end (on_end then says so); data that still arrives is told as before. */
void io_shutdown(struct io *io, int64_t linger_ms);

/* io_pause, io_resume - stop and continue on_data; bytes wait in the kernel.  Pausing twice is pausing once. */
void io_pause(struct io *io);
void io_resume(struct io *io);

/* io_detach, io_attach - take the io off its loop, and put it on another thread's; in between nobody touches it.
 * After io_attach bytes that TLS had already taken are told at once. */
void io_detach(struct io *io);
void io_attach(struct io *io, struct loop *loop);

/* io_hand_over - what happens is told to somebody else from now on; not from within one of the io's own calls. */
void io_hand_over(struct io *io, const struct io_events *events, void *arg);

SSL *io_ssl(const struct io *io); /* NULL on a plain stream */
int io_fd(const struct io *io);
uint64_t io_bytes_in(const struct io *io);  /* of the application's data */
uint64_t io_bytes_out(const struct io *io); /* likewise */

#endif
