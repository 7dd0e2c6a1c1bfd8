/* sasl_mechanism - what a SASL mechanism's file offers to sasl.c, and may use of it. */
#ifndef POSTERN_BACKEND_SASL_MECHANISM_H
#define POSTERN_BACKEND_SASL_MECHANISM_H

#include "backend/jid.h"
#include "backend/sasl.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SASL_ANY_HASH = -1 };

struct sasl_mechanism {
    const char *name;
    int hash;  /* STORE_HASH_* that it needs, or SASL_ANY_HASH */
    bool plus; /* binds to the TLS channel: offered only when there is a binding */
    /* Whether it is offered, under TLS; NULL: when the hash is. */
    bool (*offered)(const struct sasl_env *env);
    size_t state_bytes;
    /* A message of the client, text of len bytes with a NUL behind it.  Answers now or later, exactly once. */
    void (*message)(struct sasl *sasl, const char *text, size_t len);
    /* Free what the state points to, wiping secrets; the state itself is wiped by sasl.c.  May be NULL. */
    void (*clear)(void *state);
};

/* Rows of the table in sasl.c. */
extern const struct sasl_mechanism SASL_SCRAM_SHA_512_PLUS, SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_1_PLUS;
extern const struct sasl_mechanism SASL_SCRAM_SHA_512, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_1;
extern const struct sasl_mechanism SASL_EXTERNAL, SASL_PLAIN, SASL_ANONYMOUS;

void *sasl_state(struct sasl *sasl); /* zeroed at the start */
const struct sasl_env *sasl_env(const struct sasl *sasl);
const struct sasl_mechanism *sasl_mechanism(const struct sasl *sasl);

/* The keys that a password is compared with; the same to the eye whether the account exists or not. */
struct sasl_keys {
    int hash;
    bool exists, disabled; /* the account */
    bool real;             /* these are its keys */
    unsigned lacking;      /* bits 1 << STORE_HASH_*: it has keys, but none of these */
    struct store_scram_keys scram;
};

/* The answers; the sasl may be gone when one returns. */
void sasl_challenge(struct sasl *sasl, const void *data, size_t len);
void sasl_fail(struct sasl *sasl, const char *condition);

/* sasl_prove - who wants to be sasl_admit's or sasl_get_keys's account is it: success, unless the account is disabled.
 */
void sasl_prove(struct sasl *sasl, const struct sasl_keys *keys, const void *data, size_t len);

/* sasl_welcome - success for a guest, who has this local part from now on. */
void sasl_welcome(struct sasl *sasl, const char *local);

/* sasl_guessed - failure, and one that counts: the password is wrong, or the account is not there. */
void sasl_guessed(struct sasl *sasl);

/* sasl_mismatched - failure: the password is right, the channel binding is not. */
void sasl_mismatched(struct sasl *sasl);

/* sasl_admit - before a password for the account is looked at: call go(sasl) now or after a delay, or fail because of
 * the failures before this attempt. */
void sasl_admit(struct sasl *sasl, const char *local, void (*go)(struct sasl *sasl));

/* sasl_bound - the client has chosen a channel binding of this type (static text); it counts once it succeeds. */
void sasl_bound(struct sasl *sasl, const char *type);

/* sasl_get_keys - look up the account and call fn with keys (borrowed for the call) of the mechanism's hash, or of the
 * cheapest good one that there is.  If the store fails, so does the exchange. */
typedef void sasl_keys_fn(struct sasl *sasl, const struct sasl_keys *keys);
void sasl_get_keys(struct sasl *sasl, const char *local, sasl_keys_fn *fn);

/* sasl_run - have work(state) run on an offload thread, then done(sasl) here.  If that is not possible the exchange
 * fails. */
void sasl_run(struct sasl *sasl, void (*work)(void *state), void (*done)(struct sasl *sasl));

/* sasl_prepare_names - prepare the local part of the account, and check that authzid (NULL or "": none) is its bare
 * JID.  NULL, or the failure condition. */
MUSTCHECK const char *sasl_prepare_names(const struct sasl *sasl, const char *authcid, const char *authzid,
                                         char local[JID_PART_MAX_BYTES + 1]);

#endif
