/* account - the administrator's changes to accounts: checked, hashed beside the loop, stored. */
#ifndef POSTERN_BACKEND_ACCOUNT_H
#define POSTERN_BACKEND_ACCOUNT_H

struct backend;

/* What to do with an account. */
enum account_action { ACCOUNT_ADD, ACCOUNT_SET_PASSWORD, ACCOUNT_DELETE };

/* How it went: code is NULL when it is done (and durable), else a word and a text as for control_fail. */
typedef void account_fn(const char *code, const char *text, void *arg);

/* account_change - on shard 0.  jid is what the administrator typed; password is NULL for ACCOUNT_DELETE.  fn is called
 * once, now or later.  A deleted account's streams end, and those of one with a new password. */
void account_change(struct backend *backend, enum account_action action, const char *jid, const char *password,
                    account_fn *fn, void *arg);

#endif
