/* notice - what a host tells its users when they come: the message of the day for each of them once, a welcome for
 * those who log in to a new account.
 *
 * The host's own are records of its domain, of kind SETTING: "motd" and "welcome", each a <message/> with its body; the
 * id of "motd" changes when all shall see it again.  What an account has seen are its own records of the same names. */
#ifndef POSTERN_BACKEND_NOTICE_H
#define POSTERN_BACKEND_NOTICE_H

#include "backend/store.h"
#include "lib/mailbox.h"

#include <stdbool.h>
#include <stddef.h>

struct backend;
struct shard;

enum { NOTICE_MAX_BYTES = 16384 }; /* of a text */

/* notice_set_motd - have a message of the day (text NULL: none).  anew: those who are online get it at once, and all
 * others once, whatever they have seen; otherwise only those get it who have not seen the one before.
 * notice_set_welcome - likewise the welcome.  fn is told in the mailbox back_to when it is durable.  Any thread. */
void notice_set_motd(struct backend *backend, const char *domain, const char *text, bool anew, struct mailbox *back_to,
                     store_done_fn *fn, void *arg);
void notice_set_welcome(struct backend *backend, const char *domain, const char *text, struct mailbox *back_to,
                        store_done_fn *fn, void *arg);

enum notice { NOTICE_MOTD, NOTICE_WELCOME };

/* text: NULL: there is none. */
typedef void notice_read_fn(enum store_status status, const char *text, void *arg);

/* notice_read - what is in force; fn is told in the mailbox back_to, which is of a shard.  On that shard. */
void notice_read(struct backend *backend, const char *domain, enum notice notice, struct mailbox *back_to,
                 notice_read_fn *fn, void *arg);

/* notice_prepare - somebody of that domain is about to come: read its notices, so that nobody has to be held for them.
 */
void notice_prepare(struct shard *shard, const char *domain);

/* notice_forget - drop what a shard knows of them, at its end. */
void notice_forget(struct shard *shard);

#endif
