/* account - changes to accounts: checked, hashed beside the loop, stored, and told to all whom they concern. */
#ifndef POSTERN_BACKEND_ACCOUNT_H
#define POSTERN_BACKEND_ACCOUNT_H

#include <stdint.h>

struct shard;

/* What to do with an account. */
enum account_action { ACCOUNT_ADD, ACCOUNT_SET_PASSWORD, ACCOUNT_DELETE, ACCOUNT_DISABLE, ACCOUNT_ENABLE };

struct account_order {
    enum account_action action;
    const char *jid;      /* as somebody typed it */
    const char *password; /* likewise; NULL unless there is to be one */
    const char *keep;     /* the full address of a session that goes on; NULL: none */
    uint64_t source;      /* who waits for the hashing: see offload.h */
};

/* How it went: code is NULL when it is done (and durable), else a word and a text as for control_fail: "usage",
 * "not-found", "exists", "full", "unavailable", "internal". */
typedef void account_fn(const char *code, const char *text, void *arg);

/* account_change - on the shard that asks, which is told by fn, once, now or later.  The streams of an account end when
 * it is deleted, disabled, or has a new password, with which its failed log-ins are forgotten.  With a deleted account
 * go its subscriptions: its contacts are told. */
void account_change(struct shard *here, const struct account_order *order, account_fn *fn, void *arg);

#endif
