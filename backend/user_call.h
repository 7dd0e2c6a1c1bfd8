/* user_call - things to be done to a user that no stanza asks for, in their turn among the stanzas. */
#ifndef POSTERN_BACKEND_USER_CALL_H
#define POSTERN_BACKEND_USER_CALL_H

struct shard;
struct user;

/* user_call - have fn called on the owner's thread when the user is ready and not held; it may hold the user.  Any
 * thread.  user is NULL when it could not be read from the store; when the server stops before that, fn is not called.
 */
typedef void user_call_fn(struct user *user, void *arg);
void user_call(struct shard *owner, const char *bare, user_call_fn *fn, void *arg);

/* For user.c: make the first of the calls in user->calls, with what it is to be told; forget all of them. */
void user_call_next(struct user *user, struct user *answer);
void user_call_drop(struct user *user);

/* user_appeared - there is an account now where there was none: what the owner may remember of the address is over. Any
 * thread. */
void user_appeared(struct shard *owner, const char *bare);

#endif
