/* session - the clients: each is one user's stream to the server.
 *
 * A command of the generator sets handlers, begins something and turns the loop until it is done.  Whatever no handler
 * is prepared for ends the run: a stanza that nobody expects is a fault of the server, or of the generator. */
#ifndef POSTERN_BENCH_BACKEND_SESSION_H
#define POSTERN_BENCH_BACKEND_SESSION_H

#include "bench/backend/scan.h"
#include "bench/backend/wire.h"

#include <stdint.h>

enum session_state {
    SESSION_CLOSED,
    SESSION_LOGIN, /* from connecting on; login.c knows how far */
    SESSION_READY,
    SESSION_LEAVING, /* its end tag is sent, the server's is awaited */
};

struct session {
    struct wire wire;
    enum session_state state;
    uint32_t user, index; /* index: in session_at */
    char *jid;            /* full, as the server said it */
    size_t jid_len;
    char *carry; /* the beginning of a stanza whose end has not come */
    size_t carry_len, carry_cap;
    struct login *login;    /* while it logs in */
    int64_t since_ns;       /* when what it does was due: its login, its end, its request */
    bool sm, sm_asked;      /* stream management is on; our <r/> is not answered yet */
    uint32_t sm_in, sm_out; /* stanzas in each direction since it is on */
    bool available;
    /* Of the commands, kept from one to the next. */
    uint32_t letters_sent, letters_seen; /* numbers of the last letter to and from the peer */
    struct session *peer;
    struct life *life; /* of the mixed day */
};

/* One stanza that has come, and when. */
struct arrival {
    struct scan_element element;
    struct scan_stanza stanza;
    int64_t at_ns;
};

/* What a command makes of what happens; NULL: it must not happen.  batch: all that had come at once has been handled;
 * may be NULL.  presence: NULL if it does not matter. */
struct handlers {
    void (*ready)(struct session *session);
    void (*closed)(struct session *session);
    void (*message)(struct session *session, const struct arrival *arrival);
    void (*presence)(struct session *session, const struct arrival *arrival);
    void (*answer)(struct session *session, const struct arrival *arrival); /* an iq result or error */
    void (*batch)(struct session *session);
};

struct session_options {
    struct sockaddr_in to;
    const char *domain, *mechanism;
    bool tls, sm;
};

void session_setup(const struct session_options *options);
const struct session_options *session_options(void);

/* session_handle - from now on; NULL: none. */
void session_handle(const struct handlers *handlers);

/* session_of - the session of a user, which is made if there is none; session_find: NULL then. */
struct session *session_of(uint32_t user);
struct session *session_find(uint32_t user);

/* session_at - by index, in the order of their numbers unless users of lower numbers came later; NULL behind the last.
 * session_ready - how many are ready. */
struct session *session_at(uint32_t index);
uint32_t session_ready(void);

/* session_open - begin to log in; due_ns: from when on its time counts. */
void session_open(struct session *session, int64_t due_ns);

/* session_leave - send the stream's end; with stream management behind a last acknowledgement, or the server would keep
 * what it has sent. */
void session_leave(struct session *session);

/* session_enter - login.c says that it is ready. */
void session_enter(struct session *session);

/* session_send - so many stanzas; session_say - something that is no stanza. */
void session_send(struct session *session, const char *data, size_t len, uint32_t stanzas);
void session_say(struct session *session, const char *data, size_t len);

/* session_turn - handle what happens; waits for it, at most so long.  Returns how much it was, 0 when time was up.
 * session_wait - the same for a closed loop, where something must happen soon; what: is awaited, for the failure. */
int session_turn(int64_t wait_ns);
void session_wait(const char *what);

/* session_watch - have session_turn return as well when this can be read (the commands), or no longer; false: it
 * cannot be watched (a file). */
bool session_watch(int fd, bool on);

/* session_fail - end the run: who, what happened, and the text that it is about (at = NULL: none). */
_Noreturn void session_fail(const struct session *session, const char *what, struct text about);

#endif
