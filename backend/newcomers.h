/* newcomers - how many streams each source has that have not logged in yet.
 *
 * A source is what addr_source says.  The counts are a sketch of fixed size: a source's count is the lesser of two
 * cells chosen by hashes under a random key, so it is never too low, and too high only for a source that shares both
 * cells with others.  Any thread; nobody waits for a lock. */
#ifndef POSTERN_BACKEND_NEWCOMERS_H
#define POSTERN_BACKEND_NEWCOMERS_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>

struct newcomers;

struct newcomers *newcomers_new(void);
void newcomers_free(struct newcomers **newcomers);

/* newcomers_enter - count one more; false (and nothing is counted) when the source has limit (0: any) already.  Who has
 * no address is not counted. */
MUSTCHECK bool newcomers_enter(struct newcomers *newcomers, const struct addr *peer, unsigned limit);

/* newcomers_leave - one of those that newcomers_enter has let in has logged in, or is gone. */
void newcomers_leave(struct newcomers *newcomers, const struct addr *peer);

#endif
