/* ring - who is whose contact: each user has those next to it in a ring of all, as many on each side. */
#ifndef POSTERN_BENCH_BACKEND_RING_H
#define POSTERN_BENCH_BACKEND_RING_H

#include "bench/backend/session.h"

struct ring {
    uint32_t users, contacts; /* contacts: even, fewer than users */
};

/* ring_of_all - the ring of all users that have logged in, who must be user0 to the last of a population. */
struct ring ring_of_all(uint32_t contacts);

/* ring_index - 0 … contacts-1, which of user's contacts other is; -1: none of them. */
int ring_index(const struct ring *ring, uint32_t user, uint32_t other);
uint32_t ring_contact(const struct ring *ring, uint32_t user, uint32_t index);

/* ring_sender - the session whose full address this is, or whose bare one, if that may be (bare is not NULL; then it
 * says which); NULL: nobody's. */
struct session *ring_sender(struct text from, bool *bare);

/* ring_roster - NULL if the answer to a query of the user's roster has exactly the contacts, each once and with
 * subscription both; else what is wrong. */
const char *ring_roster(const struct ring *ring, uint32_t user, const struct arrival *arrival);

#endif
