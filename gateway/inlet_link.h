/* inlet_link - a worker's connection to the inlet of one backend, over which sockets are passed.
 *
 * It is made when first needed, and again after the backend was gone. */
#ifndef POSTERN_GATEWAY_INLET_LINK_H
#define POSTERN_GATEWAY_INLET_LINK_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;

struct inlet_link {
    const struct endpoint *at;
    struct event_base *base;
    void (*ready)(void *arg); /* something has changed: it may be worth trying again */
    void *arg;
    int fd;        /* -1: not connected */
    short watched; /* what event waits for; 0: nothing, and there is no event */
    struct event *event;
};

void inlet_link_init(struct inlet_link *link, const struct endpoint *at, struct event_base *base,
                     void (*ready)(void *arg), void *arg);
void inlet_link_close(struct inlet_link *link);

enum inlet_link_status {
    INLET_LINK_SENT,
    INLET_LINK_BUSY, /* its queue is full; ready is called when there is room */
    INLET_LINK_GONE, /* nobody is there, or the machine lacks something; only time helps */
};

/* inlet_link_send - pass a descriptor (kept by the caller) with a message, with one new connection if the old one turns
 * out to be dead. */
MUSTCHECK enum inlet_link_status inlet_link_send(struct inlet_link *link, int fd, const uint8_t *message, size_t len);

/* inlet_link_rest - nobody waits for room any more. */
void inlet_link_rest(struct inlet_link *link);

#endif
