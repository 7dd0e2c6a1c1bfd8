/* eyeballs - connect to the first of a host's addresses that answers ("happy eyeballs").
 *
 * IPv6 and IPv4 in turns, one more every 250 ms or as soon as one has failed; 10 seconds for each.  Source: RFC 8305
 * section 5. */
#ifndef POSTERN_LIB_EYEBALLS_H
#define POSTERN_LIB_EYEBALLS_H

#include "lib/addr.h"
#include "lib/loop.h"

struct eyeballs;

enum { EYEBALLS_MAX = 32, EYEBALLS_DELAY_MS = 250, EYEBALLS_PATIENCE_MS = 10000 };

/* Called from the loop, never from within a function below. */
struct eyeballs_events {
    /* fd is taken; all others are given up.  The owner may free eyeballs in it. */
    void (*on_connected)(void *arg, int fd, const struct addr *addr);
    /* One of them is out, error as in errno; may not free. */
    void (*on_refused)(void *arg, const struct addr *addr, int error);
    /* None is left, and none will come; the owner may free eyeballs in it. */
    void (*on_exhausted)(void *arg);
};

struct eyeballs *eyeballs_new(struct loop *loop, const struct eyeballs_events *events, void *arg);
void eyeballs_free(struct eyeballs **eyeballs);

/* eyeballs_add - one more address; those over EYEBALLS_MAX are left out.  eyeballs_end - that were all. */
void eyeballs_add(struct eyeballs *eyeballs, const struct addr *addr);
void eyeballs_end(struct eyeballs *eyeballs);

/* eyeballs_resume - after on_connected: go on with those that have not failed. */
void eyeballs_resume(struct eyeballs *eyeballs);

#endif
