/* sasl_mechanism - what a SASL mechanism's file offers to sasl.c, and may use of it. */
#ifndef POSTERN_BACKEND_SASL_MECHANISM_H
#define POSTERN_BACKEND_SASL_MECHANISM_H

#include "backend/jid.h"
#include "backend/sasl.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sasl_mechanism {
    const char *name;
    int hash;      /* STORE_HASH_* */
    bool plus;     /* binds to the TLS channel: offered only when there is a binding */
    bool external; /* by the client's certificate: offered only when it proves an account */
    size_t state_bytes;
    /* A message of the client, text of len bytes with a NUL behind it.  Answers now or later, exactly once. */
    void (*message)(struct sasl *sasl, const char *text, size_t len);
    /* Free what the state points to, wiping secrets; the state itself is wiped by sasl.c.  May be NULL. */
    void (*clear)(void *state);
};

/* Rows of the table in sasl.c. */
extern const struct sasl_mechanism SASL_SCRAM_SHA_512_PLUS, SASL_SCRAM_SHA_256_PLUS, SASL_SCRAM_SHA_1_PLUS;
extern const struct sasl_mechanism SASL_SCRAM_SHA_512, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_1;
extern const struct sasl_mechanism SASL_EXTERNAL, SASL_PLAIN;

void *sasl_state(struct sasl *sasl); /* zeroed at the start */
const struct sasl_env *sasl_env(const struct sasl *sasl);
const struct sasl_mechanism *sasl_mechanism(const struct sasl *sasl);

/* The answers; the sasl may be gone when one returns. */
void sasl_challenge(struct sasl *sasl, const void *data, size_t len);
void sasl_succeed(struct sasl *sasl, const char *local, const void *data, size_t len);
void sasl_fail(struct sasl *sasl, const char *condition);

/* sasl_bound - the client has chosen a channel binding of this type (static text); it counts once it succeeds. */
void sasl_bound(struct sasl *sasl, const char *type);

/* sasl_get_keys - look up the account and call fn with keys of the preferred hash: its own, or for an account that does
 * not exist, fake ones that look alike (real says which).  If the store fails, so does the exchange. */
typedef void sasl_keys_fn(struct sasl *sasl, const struct store_scram_keys *keys, bool real);
void sasl_get_keys(struct sasl *sasl, const char *local, sasl_keys_fn *fn);

/* sasl_run - have work(state) run on an offload thread, then done(sasl) here.  If that is not possible the exchange
 * fails. */
void sasl_run(struct sasl *sasl, void (*work)(void *state), void (*done)(struct sasl *sasl));

/* sasl_prepare_names - prepare the local part of the account, and check that authzid (NULL or "": none) is its bare
 * JID.  NULL, or the failure condition. */
MUSTCHECK const char *sasl_prepare_names(const struct sasl *sasl, const char *authcid, const char *authzid,
                                         char local[JID_PART_MAX_BYTES + 1]);

#endif
