/* key_renewal - SCRAM keys of the hashes that an account lacks, made when its user has told the password.
 *
 * An account that came from another server may have keys of SHA-1 only, and a hash is offered when every account of the
 * host has keys of it. */
#ifndef POSTERN_BACKEND_KEY_RENEWAL_H
#define POSTERN_BACKEND_KEY_RENEWAL_H

#include "backend/sasl_mechanism.h"

/* key_renewal_begin - the prepared password fits the account's keys: derive those that it lacks (keys->lacking) on an
 * offload thread, and store them unless the password has changed meanwhile.  Nobody waits for it; should it fail, the
 * next log-in tries again.  What env points to must live as long as its mailbox gets answers; env itself need not. */
void key_renewal_begin(const struct sasl_env *env, const char *local, const char *prepared_password,
                       const struct sasl_keys *keys);

#endif
