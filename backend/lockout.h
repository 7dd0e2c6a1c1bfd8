/* lockout - how often passwords were wrong, by source and by account, and what follows: a delay, then a lock.
 *
 * A source is what addr_source says.  Failures run off one by one, all that are allowed within a window.  An account is
 * counted whether it exists or not.  Who has logged in to an account from a source before is known there: then only
 * their own failures count, so that strangers can lock neither the account nor the shared address for them.  The
 * tables have a fixed size, and what is forgotten when they are full fails open.  Any thread. */
#ifndef POSTERN_BACKEND_LOCKOUT_H
#define POSTERN_BACKEND_LOCKOUT_H

#include "lib/addr.h"
#include "lib/check.h"
#include "lib/cidr.h"

#include <stdbool.h>
#include <stdint.h>

struct option_section;
struct lockout;

struct lockout *lockout_new(void);
void lockout_free(struct lockout **lockout);

/* As configured, in one snapshot of the configuration. */
struct lockout_limits {
    unsigned per_source, per_account; /* failures; 0: no limit */
    int64_t window_ms, longest_delay_ms;
    struct cidr_set unlimited; /* sources that are not counted */
};

/* lockout_limits_read - from the top level of a configuration.  -1 and a message in error; lockout_limits_clear either
 * way. */
MUSTCHECK int lockout_limits_read(struct lockout_limits *limits, const struct option_section *top, char *error,
                                  size_t cap);
void lockout_limits_clear(struct lockout_limits *limits);

/* Who tries to log in to what; limits is borrowed. */
struct lockout_key {
    const struct lockout_limits *limits;
    uint64_t source; /* 0: an unknown address or one without limit */
    uint64_t account;
    uint64_t pair; /* of both; 0 when source is */
};

struct lockout_key lockout_key(const struct lockout_limits *limits, const struct addr *peer, const char *bare);

/* lockout_delay_ms - how long an attempt has to wait before its password is looked at.  now_ms is monotonic. */
MUSTCHECK int64_t lockout_delay_ms(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms);

enum lockout_verdict { LOCKOUT_OPEN, LOCKOUT_SOURCE, LOCKOUT_ACCOUNT };

/* lockout_check - whether the password may be looked at, or what is locked. */
MUSTCHECK enum lockout_verdict lockout_check(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms);

/* lockout_failed - the password was wrong.  Returns what is locked with this failure and was not before. */
enum lockout_verdict lockout_failed(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms);

/* lockout_succeeded - it was right: source and account are known to belong together. */
void lockout_succeeded(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms);

/* lockout_forgive_account, lockout_forgive_source - forget the failures of one of them, and those of all who are known:
 * they may be meant. */
void lockout_forgive_account(struct lockout *lockout, const char *bare);
void lockout_forgive_source(struct lockout *lockout, const struct addr *peer);

#endif
