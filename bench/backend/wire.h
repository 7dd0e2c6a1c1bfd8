/* wire - a client's connection: TCP, with TLS or without.
 *
 * Thousands of them share the buffers: what is read is at once decrypted into one buffer of all, and what is written
 * goes out at once.  A connection has memory of its own only for TLS, and for what the kernel did not take. */
#ifndef POSTERN_BENCH_BACKEND_WIRE_H
#define POSTERN_BENCH_BACKEND_WIRE_H

#include "bench/backend/scan.h"

#include <netinet/in.h>
#include <openssl/types.h>
#include <stdint.h>

struct wire {
    int fd; /* -1: closed */
    bool connecting, wants_write;
    SSL *ssl; /* NULL: no TLS */
    char *rest;
    size_t rest_len, rest_cap;
};

enum { WIRE_BUFFER_BYTES = 1 << 20 };

/* wire_setup - where all connect to, and with TLS the server's name (SNI), else NULL. */
void wire_setup(const struct sockaddr_in *to, const char *sni);

/* wire_open - begin to connect; context: of the events. */
void wire_open(struct wire *wire, int epoll_fd, void *context);
void wire_close(struct wire *wire);

enum wire_result {
    WIRE_OPEN,    /* may be read and written */
    WIRE_PENDING, /* not yet connected, or the TLS handshake is not over */
    WIRE_CLOSED,
};

/* wire_on_event - go on with connecting, and with what could not be written.  *why: for WIRE_CLOSED. */
enum wire_result wire_on_event(struct wire *wire, int epoll_fd, void *context, const char **why);

/* wire_read - append what has come to the buffer (of WIRE_BUFFER_BYTES), from *len on.  false: the other side has
 * closed; what came before is there all the same. */
bool wire_read(struct wire *wire, char *buffer, size_t *len);

/* wire_write - send it all, now or as soon as the other side reads.  A connection that broke shows when it is read. */
void wire_write(struct wire *wire, int epoll_fd, void *context, const char *data, size_t len);

/* wire_end - say that nothing more will come (TLS's close_notify). */
void wire_end(struct wire *wire, int epoll_fd, void *context);

/* wire_calls - how many times the kernel was asked to read and to write, in all. */
struct wire_calls {
    uint64_t reads, writes;
};
struct wire_calls wire_calls(void);

#endif
