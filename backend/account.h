/* account - the administrator's changes to accounts: checked, hashed beside the loop, stored. */
#ifndef POSTERN_BACKEND_ACCOUNT_H
#define POSTERN_BACKEND_ACCOUNT_H

struct backend;

/* What to do with an account. */
enum account_action { ACCOUNT_ADD, ACCOUNT_SET_PASSWORD, ACCOUNT_DELETE, ACCOUNT_DISABLE, ACCOUNT_ENABLE };

/* How it went: code is NULL when it is done (and durable), else a word and a text as for control_fail. */
typedef void account_fn(const char *code, const char *text, void *arg);

/* account_change - on shard 0.  jid is what the administrator typed; password is NULL unless there is to be one.  fn is
 * called once, now or later.  The streams of an account end when it is deleted, disabled, or has a new password, with
 * which its failed log-ins are forgotten. */
void account_change(struct backend *backend, enum account_action action, const char *jid, const char *password,
                    account_fn *fn, void *arg);

#endif
