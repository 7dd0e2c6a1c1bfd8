/* tls_keeper - what the master does for TLS while it runs: it makes the keys of session tickets, and makes new ones in
 * time. */
#ifndef POSTERN_GATEWAY_TLS_KEEPER_H
#define POSTERN_GATEWAY_TLS_KEEPER_H

#include "gateway/tls_tickets.h"
#include "lib/check.h"
#include "lib/loop.h"

#include <stddef.h>
#include <stdint.h>

struct tls_keeper;

/* tls_keeper_new - NULL and a message in why when the memory for the keys cannot be had. */
MUSTCHECK struct tls_keeper *tls_keeper_new(struct loop *loop, int64_t rotation_ms, char *why, size_t cap);
void tls_keeper_free(struct tls_keeper **keeper);

/* tls_keeper_release - in the child of a fork, with the loop at rest: free all but the tickets, which are the worker's
 * from now on and can only be read. */
struct tls_tickets *tls_keeper_release(struct tls_keeper **keeper);

#endif
