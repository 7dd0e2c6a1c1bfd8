/* reload - puts a changed configuration in force without touching a connection.
 *
 * The file is read and checked, what it needs is opened, and a new generation of workers started beside the one that
 * serves; when all are ready, it takes over.  Whatever goes wrong before that changes nothing.  One reload runs at a
 * time; those that are asked for meanwhile become one more. */
#ifndef POSTERN_GATEWAY_RELOAD_H
#define POSTERN_GATEWAY_RELOAD_H

#include "lib/check.h"
#include "lib/waiting.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct control_request;
struct event;
struct gateway_config;
struct generation;
struct master;

struct reload {
    struct master *master;
    struct generation *next; /* the generation that starts; NULL: nothing is under way */
    struct event *timer;     /* its workers take too long */
    bool taking_over;        /* it is the first of a program that follows another */
    bool again;              /* another reload follows this one */
    struct waiting now, then;
    char *fault; /* of the last one; NULL: there was none */
};

void reload_init(struct reload *reload, struct master *master);
void reload_clear(struct reload *reload);

/* reload_begin - start the first generation from a configuration (taken).  Returns 0, or -1 and a message in why. */
MUSTCHECK int reload_begin(struct reload *reload, struct gateway_config *config, char *why, size_t cap);

/* reload_take_over - start the first generation of this program beside the one that the program before left. */
void reload_take_over(struct reload *reload);

/* reload_ask - reload, now or after the one that is under way; request (NULL: nobody) is answered when it is done. */
void reload_ask(struct reload *reload, struct control_request *request);

/* reload_wait - answer request when nothing is under way, with how the last one went. */
void reload_wait(struct reload *reload, struct control_request *request);

/* reload_ready - all workers of the next generation are ready.  reload_fail - one of them has died, or why else it
 * cannot serve. */
void reload_ready(struct reload *reload);
void reload_fail(struct reload *reload, const char *why);

/* reload_status - {"running": …, "error": the last one's or null}. */
json_t *reload_status(const struct reload *reload);

#endif
