/* upgrade - runs another version of the program in place of this one, with the same process id and sockets.
 *
 * The new one is run beside us first, to check the configuration and that it can take over; if it cannot, nothing
 * happens.  Then it takes our place (handover.h), starts workers of its own and retires ours. */
#ifndef POSTERN_GATEWAY_UPGRADE_H
#define POSTERN_GATEWAY_UPGRADE_H

#include "lib/check.h"
#include "lib/waiting.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct control_request;
struct event;
struct master;

enum upgrade_state {
    UPGRADE_IDLE,
    UPGRADE_CHECKING, /* the new program is run for its check */
    UPGRADE_CHECKED,  /* and may take over when no reload is under way */
    UPGRADE_ANSWERED, /* those who asked are told; a moment later it takes over */
    UPGRADE_DUE,
};

enum { UPGRADE_OUTPUT_BYTES = 1024 };

struct upgrade {
    struct master *master;
    enum upgrade_state state;
    char *program; /* its path */
    char **argv;   /* borrowed */
    pid_t pid;     /* of the check; 0: none */
    int output;    /* its standard error; -1: none */
    struct event *timer;
    struct waiting waiting;
};

/* upgrade_init - argv is that of this process, borrowed for ever; the first argument is where the next program is
 * found, too. */
void upgrade_init(struct upgrade *upgrade, struct master *master, char **argv);
void upgrade_clear(struct upgrade *upgrade);

/* upgrade_ask - begin; request (NULL: nobody) is answered once the check has passed or failed. */
void upgrade_ask(struct upgrade *upgrade, struct control_request *request);

/* upgrade_reap - see whether the check has ended. */
void upgrade_reap(struct upgrade *upgrade);

/* upgrade_proceed - no reload is under way: take the next step if one is due. */
void upgrade_proceed(struct upgrade *upgrade);

/* upgrade_exec - with the loop at rest and UPGRADE_DUE: run the program.  Returns only when that failed, which has been
 * logged. */
void upgrade_exec(struct upgrade *upgrade);

#endif
