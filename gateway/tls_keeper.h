/* tls_keeper - the keys of session tickets in the master, which outlive generations of workers: made once, and renewed
 * in time. */
#ifndef POSTERN_GATEWAY_TLS_KEEPER_H
#define POSTERN_GATEWAY_TLS_KEEPER_H

#include "gateway/tls_tickets.h"
#include "lib/check.h"
#include "lib/loop.h"

#include <stddef.h>
#include <stdint.h>

struct tls_keeper;

/* tls_keeper_new - fd: the keys of the program before us (taken; what is none is not used), or -1.  NULL and a message
 * in why when the memory for new keys cannot be had. */
MUSTCHECK struct tls_keeper *tls_keeper_new(struct loop *loop, int fd, int64_t rotation_ms, char *why, size_t cap);
void tls_keeper_free(struct tls_keeper **keeper);

/* tls_keeper_set_rotation - another configuration is in force. */
void tls_keeper_set_rotation(struct tls_keeper *keeper, int64_t rotation_ms);

/* tls_keeper_fd - the keys, to be inherited by another program; borrowed, close-on-exec. */
int tls_keeper_fd(const struct tls_keeper *keeper);

/* tls_keeper_release - in the child of a fork, with the loop at rest: free all but the tickets, which are the worker's
 * from now on and can only be read. */
struct tls_tickets *tls_keeper_release(struct tls_keeper **keeper);

#endif
