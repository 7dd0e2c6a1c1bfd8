/* balance - which of an upstream's servers comes next: the pure choice, without sockets, state or time.
 *
 * round-robin is the smooth weighted one: over a cycle (the sum of the weights) each server comes exactly as often as
 * its weight says, spread over the cycle.  source-hash is weighted rendezvous hashing (Thaler and Ravishankar 1998;
 * weights by the logarithm method): a server that goes away moves only those clients that were its own. */
#ifndef POSTERN_GATEWAY_BALANCE_H
#define POSTERN_GATEWAY_BALANCE_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

/* In the order of the option's choices. */
enum balance { BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS, BALANCE_SOURCE_HASH, BALANCE_FIRST };

enum {
    BALANCE_SERVERS_MAX = 64, /* a set of servers is the bits of one word */
    BALANCE_WEIGHT_MAX = 256,
};

struct balance_server {
    uint64_t seed;        /* for source-hash: balance_seed of its name */
    uint32_t weight;      /* 1 to BALANCE_WEIGHT_MAX */
    uint32_t connections; /* open now; asked for by least-connections only */
    int32_t turn;         /* of round-robin, kept between choices; 0 at first */
};

/* balance_choose - the next server among those whose bits are set in eligible (not empty).  source is what
 * balance_source says of the client. */
size_t balance_choose(enum balance how, struct balance_server *servers, uint64_t eligible, uint64_t source);

/* balance_seed - a number for a server's name, the same in every process of every machine. */
uint64_t balance_seed(const char *name);

/* balance_source - a number for a client's network: an IPv4 address, or the /64 of an IPv6 address, within which
 * clients change their addresses as they like; for Tor's circuit numbers, which look like one /64, the whole. */
uint64_t balance_source(const struct addr *client);

#endif
