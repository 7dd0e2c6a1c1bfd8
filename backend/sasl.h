/* sasl - one authentication exchange, whatever the mechanism.
 *
 * A mechanism is one file (sasl_*.c) and one row of the table in sasl.c.  Source: RFC 4422, RFC 6120 section 6. */
#ifndef POSTERN_BACKEND_SASL_H
#define POSTERN_BACKEND_SASL_H

#include "backend/lockout.h"
#include "backend/offload.h"
#include "backend/store.h"
#include "lib/check.h"
#include "lib/loop.h"
#include "lib/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_shapes;

/* What an exchange may use.  Lives as long as the exchange. */
struct sasl_env {
    struct store *store;
    struct offload *offload;
    struct mailbox *mailbox;      /* of the shard that runs the stream */
    struct loop *loop;            /* likewise */
    struct deadline_queue *ticks; /* of the loop, SASL_TICK_MS, sasl_on_tick */
    struct key_shapes *shapes;
    struct lockout *lockout;
    const struct lockout_limits *limits;
    const struct addr *peer;
    const char *domain;    /* prepared: the host that the stream is to */
    const uint8_t *secret; /* of this server, for answers about unknown accounts */
    size_t secret_len;
    uint32_t iterations; /* of the keys of new passwords */
    unsigned hashes;     /* bits 1 << STORE_HASH_*: SCRAM with these is offered */
    bool plain;          /* offered */
    bool anonymous;      /* offered */
    bool encrypted;      /* TLS is up; without it no mechanism is offered */
    bool has_exporter;   /* tls-exporter */
    uint8_t exporter[TLS_EXPORTER_BYTES];
    size_t end_point_len; /* tls-server-end-point; 0: none */
    uint8_t end_point[TLS_END_POINT_MAX_BYTES];
    char *const *external; /* prepared local parts of the accounts that the client's certificate proves */
    size_t external_count;
};

/* sasl_each - the mechanisms to offer for env, in order of preference. */
void sasl_each(const struct sasl_env *env, void (*fn)(const char *name, void *arg), void *arg);

/* sasl_channel_bindings_each - the channel binding types to announce (XEP-0440), in order of preference. */
void sasl_channel_bindings_each(const struct sasl_env *env, void (*fn)(const char *type, void *arg), void *arg);

enum sasl_status {
    SASL_CHALLENGE, /* send data, wait for the response */
    SASL_SUCCESS,   /* data is additional data with success; local names the account */
    SASL_FAILURE,   /* condition is a SASL failure condition of RFC 6120 section 6.5 */
};

/* What is behind a failure: for the log and the counters, not for the client. */
enum sasl_cause {
    SASL_CAUSE_OTHER,          /* the condition says it */
    SASL_CAUSE_PASSWORD,       /* the password is wrong, or there is no such account */
    SASL_CAUSE_BINDING,        /* the password is right, but the client's TLS channel is not ours */
    SASL_CAUSE_DISABLED,       /* the account is */
    SASL_CAUSE_SOURCE_LOCKED,  /* the password was not looked at: see lockout.h */
    SASL_CAUSE_ACCOUNT_LOCKED, /* likewise */
    SASL_CAUSE_BUSY,           /* too many passwords wait to be hashed */
};

struct sasl_result {
    enum sasl_status status;
    const uint8_t *data; /* not base64; NULL: none */
    size_t len;
    const char *local;           /* prepared local part: whom the client is, or wanted to be; NULL: not said yet */
    bool temporary;              /* with SASL_SUCCESS: a guest, for whom there is no account */
    const char *binding;         /* with SASL_SUCCESS: the type of the channel binding (static text); NULL: none */
    const char *condition;       /* "not-authorized", "malformed-request", "invalid-mechanism", … */
    enum sasl_cause cause;       /* with SASL_FAILURE */
    enum lockout_verdict locked; /* with SASL_FAILURE: what this failure has locked */
    int64_t delayed_ms;          /* so long the attempt has waited because of failures before it */
};

/* The answer to sasl_start or sasl_respond: once for each, from the loop or from inside the call; pointers live during
 * the call only. */
typedef void sasl_fn(const struct sasl_result *result, void *arg);

struct sasl;

/* sasl_start - begin.  initial is the initial response (len bytes, not base64), NULL when the client sent none.  An
 * unknown or not offered mechanism answers invalid-mechanism; too long a message malformed-request. */
struct sasl *sasl_start(const struct sasl_env *env, const char *mechanism, const uint8_t *initial, size_t len,
                        sasl_fn *fn, void *arg);

/* sasl_respond - the client's next message.  Not while an answer is outstanding. */
void sasl_respond(struct sasl *sasl, const uint8_t *data, size_t len);

/* sasl_on_tick - for the deadline queue of the environment. */
enum { SASL_TICK_MS = 250 };
void sasl_on_tick(struct deadline *deadline, void *arg);

/* sasl_free - at any time, also from inside sasl_fn: an answer that is still outstanding is not told.  Secrets are
 * wiped. */
void sasl_free(struct sasl **sasl);

#endif
