/* tls_tickets - the keys that session tickets are sealed with: made and rotated by the master, shared by all workers.
 *
 * They live in a sealed memfd that is mapped, never in a file: workers see a rotation at once, a new generation of
 * workers and a new binary inherit them.  A ticket is sealed with the current key and opened with the current or the
 * previous one; the one before is destroyed. */
#ifndef POSTERN_GATEWAY_TLS_TICKETS_H
#define POSTERN_GATEWAY_TLS_TICKETS_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_TICKET_NAME_BYTES = 16 };

struct tls_ticket_key {
    uint8_t name[TLS_TICKET_NAME_BYTES];
    uint8_t cipher_key[32]; /* AES-256 */
    uint8_t mac_key[32];    /* HMAC-SHA-256 */
};

struct tls_tickets;

/* tls_tickets_new - fresh keys, each to be the current one for rotation_ms.  NULL with errno when the memory cannot be
 * had. */
MUSTCHECK struct tls_tickets *tls_tickets_new(int64_t rotation_ms);

/* tls_tickets_adopt - the keys of tls_tickets_fd of another generation, with a rotation of ours; fd is taken.  NULL
 * when it is none. */
MUSTCHECK struct tls_tickets *tls_tickets_adopt(int fd, int64_t rotation_ms);
void tls_tickets_free(struct tls_tickets **tickets);

/* tls_tickets_fd - what holds the keys, to be inherited; borrowed, close-on-exec. */
int tls_tickets_fd(const struct tls_tickets *tickets);

/* tls_tickets_set_rotation - in the master: from now on, a key is current for so long. */
void tls_tickets_set_rotation(struct tls_tickets *tickets, int64_t rotation_ms);

/* tls_tickets_protect - in a worker: the keys can only be read from now on. */
void tls_tickets_protect(struct tls_tickets *tickets);

/* tls_tickets_rotate - in the master: make a new current key if it is time.  Returns the milliseconds until the next
 * rotation is due. */
int64_t tls_tickets_rotate(struct tls_tickets *tickets);

/* tls_tickets_lifetime_s - how long a ticket is good, in seconds: one rotation, so that two keys always suffice. */
long tls_tickets_lifetime_s(const struct tls_tickets *tickets);

/* tls_tickets_current - copy the key that seals. */
void tls_tickets_current(const struct tls_tickets *tickets, struct tls_ticket_key *out);

/* tls_tickets_find - copy the key with this name.  Returns false when it is not known (any more); *current tells
 * whether it is the one that seals. */
MUSTCHECK bool tls_tickets_find(const struct tls_tickets *tickets, const uint8_t name[TLS_TICKET_NAME_BYTES],
                                struct tls_ticket_key *out, bool *current);

#endif
