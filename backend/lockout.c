#include "backend/lockout.h"

#include "backend/bucket.h"
#include "lib/cidr.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/option.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    COUNTED = 16384,      /* sources with failures, and accounts: a quarter of a megabyte each */
    KNOWN = 32768,        /* pairs of account and source */
    FIRST_DELAY_MS = 500, /* after one failure; then twice as long each time */
    ACCOUNT_FREE = 10,    /* failures of an account that nobody waits for: they may be a stranger's */
    DOUBLINGS_MAX = 20,   /* far beyond any delay that can be configured */
};
static const int64_t KNOWN_MS = (int64_t)90 * 24 * 3600 * 1000;

/* lock guards all that follows. */
struct lockout {
    pthread_mutex_t lock;
    unsigned per_source, per_account; /* failures; 0: no limit */
    int64_t window_ms, longest_delay_ms;
    struct cidr_set unlimited;
    struct buckets *sources, *accounts; /* failures, but of those who are known */
    struct buckets *known;              /* pairs: one for each, which lasts for KNOWN_MS */
    struct buckets *own;                /* failures of known pairs */
};

struct lockout *lockout_new(void)
{
    struct lockout *lockout = MEM_NEW(struct lockout);
    pthread_mutex_init(&lockout->lock, NULL);
    lockout->sources = buckets_new(COUNTED);
    lockout->accounts = buckets_new(COUNTED);
    lockout->known = buckets_new(KNOWN);
    lockout->own = buckets_new(COUNTED);
    return lockout;
}

void lockout_free(struct lockout **lockout)
{
    struct lockout *l = *lockout;
    if (!l) return;
    *lockout = NULL;
    buckets_free(&l->sources);
    buckets_free(&l->accounts);
    buckets_free(&l->known);
    buckets_free(&l->own);
    cidr_set_clear(&l->unlimited);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int lockout_configure(struct lockout *lockout, const struct option_section *top, char *error, size_t cap)
{
    struct cidr_set unlimited = {0};
    if (cidr_set_read(&unlimited, top, "unlimited-sources", error, cap) != 0) {
        cidr_set_clear(&unlimited);
        return -1;
    }
    pthread_mutex_lock(&lockout->lock);
    struct cidr_set old = lockout->unlimited;
    lockout->unlimited = unlimited;
    lockout->per_source = (unsigned)option_int(top, "auth-failures-per-source");
    lockout->per_account = (unsigned)option_int(top, "auth-failures-per-account");
    lockout->window_ms = option_int(top, "auth-failures-window");
    lockout->longest_delay_ms = option_int(top, "auth-delay");
    pthread_mutex_unlock(&lockout->lock);
    cidr_set_clear(&old);
    return 0;
}

/* Holds the lock.  0: not counted. */
static uint64_t source_hash(const struct lockout *lockout, const struct addr *peer)
{
    const uint8_t *bytes = NULL;
    const size_t len = addr_source(peer, &bytes);
    return len == 0 || cidr_set_holds(&lockout->unlimited, peer) ? 0 : hash_bytes(bytes, len);
}

struct lockout_key lockout_key(struct lockout *lockout, const struct addr *peer, const char *bare)
{
    struct lockout_key key = {.account = hash_bytes(bare, strlen(bare))};
    pthread_mutex_lock(&lockout->lock);
    key.source = source_hash(lockout, peer);
    pthread_mutex_unlock(&lockout->lock);
    const uint64_t both[2] = {key.source, key.account};
    if (key.source != 0) key.pair = hash_bytes(both, sizeof(both));
    return key;
}

/* What follows holds the lock. */

static int64_t interval_ms(const struct lockout *lockout, unsigned limit)
{
    const int64_t interval = lockout->window_ms / limit;
    return interval > 0 ? interval : 1;
}

/* Failures in a table, those of who is not counted or has no limit being 0. */
static unsigned level(const struct lockout *lockout, const struct buckets *table, uint64_t hash, unsigned limit,
                      int64_t now_ms)
{
    return hash != 0 && limit > 0 ? bucket_level(table, hash, interval_ms(lockout, limit), now_ms) : 0;
}

static bool is_known(const struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    return key->pair != 0 && bucket_level(lockout->known, key->pair, KNOWN_MS, now_ms) > 0;
}

static enum lockout_verdict verdict(const struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    const unsigned per_source = lockout->per_source, per_account = lockout->per_account;
    const bool known = is_known(lockout, key, now_ms);
    const unsigned of_source = known ? level(lockout, lockout->own, key->pair, per_source, now_ms)
                                     : level(lockout, lockout->sources, key->source, per_source, now_ms);
    if (per_source > 0 && of_source >= per_source) return LOCKOUT_SOURCE;
    if (known || per_account == 0) return LOCKOUT_OPEN;
    return level(lockout, lockout->accounts, key->account, per_account, now_ms) >= per_account ? LOCKOUT_ACCOUNT
                                                                                               : LOCKOUT_OPEN;
}

static unsigned failures_to_wait_for(const struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    if (is_known(lockout, key, now_ms)) return level(lockout, lockout->own, key->pair, lockout->per_source, now_ms);
    const unsigned source = level(lockout, lockout->sources, key->source, lockout->per_source, now_ms);
    unsigned account = level(lockout, lockout->accounts, key->account, lockout->per_account, now_ms);
    account = account > ACCOUNT_FREE ? account - ACCOUNT_FREE : 0;
    return source > account ? source : account;
}

int64_t lockout_delay_ms(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    pthread_mutex_lock(&lockout->lock);
    const unsigned failures = failures_to_wait_for(lockout, key, now_ms);
    const int64_t longest = lockout->longest_delay_ms;
    pthread_mutex_unlock(&lockout->lock);
    if (failures == 0) return 0;
    const unsigned doublings = failures - 1 < DOUBLINGS_MAX ? failures - 1 : DOUBLINGS_MAX;
    const int64_t delay = (int64_t)FIRST_DELAY_MS << doublings;
    return delay < longest ? delay : longest;
}

enum lockout_verdict lockout_check(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    pthread_mutex_lock(&lockout->lock);
    const enum lockout_verdict result = verdict(lockout, key, now_ms);
    pthread_mutex_unlock(&lockout->lock);
    return result;
}

/* Whether this failure is the one with which the limit is reached. */
static bool add(const struct lockout *lockout, struct buckets *table, uint64_t hash, unsigned limit, int64_t now_ms)
{
    if (hash == 0 || limit == 0) return false;
    const bool before = level(lockout, table, hash, limit, now_ms) >= limit;
    return bucket_add(table, hash, interval_ms(lockout, limit), now_ms) >= limit && !before;
}

enum lockout_verdict lockout_failed(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    bool source = false, account = false;
    pthread_mutex_lock(&lockout->lock);
    if (is_known(lockout, key, now_ms)) {
        source = add(lockout, lockout->own, key->pair, lockout->per_source, now_ms);
    } else {
        source = add(lockout, lockout->sources, key->source, lockout->per_source, now_ms);
        account = add(lockout, lockout->accounts, key->account, lockout->per_account, now_ms);
    }
    pthread_mutex_unlock(&lockout->lock);
    return source ? LOCKOUT_SOURCE : account ? LOCKOUT_ACCOUNT : LOCKOUT_OPEN;
}

void lockout_succeeded(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    if (key->pair == 0) return;
    pthread_mutex_lock(&lockout->lock);
    bucket_empty(lockout->own, key->pair);
    bucket_empty(lockout->known, key->pair);
    bucket_add(lockout->known, key->pair, KNOWN_MS, now_ms);
    pthread_mutex_unlock(&lockout->lock);
}

void lockout_forgive_account(struct lockout *lockout, const char *bare)
{
    pthread_mutex_lock(&lockout->lock);
    bucket_empty(lockout->accounts, hash_bytes(bare, strlen(bare)));
    pthread_mutex_unlock(&lockout->lock);
}

void lockout_forgive_source(struct lockout *lockout, const struct addr *peer)
{
    pthread_mutex_lock(&lockout->lock);
    bucket_empty(lockout->sources, source_hash(lockout, peer));
    pthread_mutex_unlock(&lockout->lock);
}
