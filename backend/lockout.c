#include "backend/lockout.h"

#include "backend/bucket.h"
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
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int lockout_limits_read(struct lockout_limits *limits, const struct option_section *top, char *error, size_t cap)
{
    limits->per_source = (unsigned)option_int(top, "auth-failures-per-source");
    limits->per_account = (unsigned)option_int(top, "auth-failures-per-account");
    limits->window_ms = option_int(top, "auth-failures-window");
    limits->longest_delay_ms = option_int(top, "auth-delay");
    return cidr_set_read(&limits->unlimited, top, "unlimited-sources", error, cap);
}

void lockout_limits_clear(struct lockout_limits *limits)
{
    cidr_set_clear(&limits->unlimited);
}

/* 0: not counted. */
static uint64_t source_hash(const struct addr *peer)
{
    const uint8_t *bytes = NULL;
    const size_t len = addr_source(peer, &bytes);
    return len == 0 ? 0 : hash_bytes(bytes, len);
}

struct lockout_key lockout_key(const struct lockout_limits *limits, const struct addr *peer, const char *bare)
{
    struct lockout_key key = {.limits = limits, .account = hash_bytes(bare, strlen(bare))};
    if (!cidr_set_holds(&limits->unlimited, peer)) key.source = source_hash(peer);
    const uint64_t both[2] = {key.source, key.account};
    if (key.source != 0) key.pair = hash_bytes(both, sizeof(both));
    return key;
}

/* What follows holds the lock. */

static int64_t interval_ms(const struct lockout_key *key, unsigned limit)
{
    const int64_t interval = key->limits->window_ms / limit;
    return interval > 0 ? interval : 1;
}

/* Failures in a table, those of who is not counted or has no limit being 0. */
static unsigned level(const struct buckets *table, const struct lockout_key *key, uint64_t hash, unsigned limit,
                      int64_t now_ms)
{
    return hash != 0 && limit > 0 ? bucket_level(table, hash, interval_ms(key, limit), now_ms) : 0;
}

static bool is_known(const struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    return key->pair != 0 && bucket_level(lockout->known, key->pair, KNOWN_MS, now_ms) > 0;
}

struct failures {
    unsigned source, account;
};

static struct failures failures_of(const struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    const unsigned per_source = key->limits->per_source, per_account = key->limits->per_account;
    if (is_known(lockout, key, now_ms))
        return (struct failures){.source = level(lockout->own, key, key->pair, per_source, now_ms)};
    return (struct failures){.source = level(lockout->sources, key, key->source, per_source, now_ms),
                             .account = level(lockout->accounts, key, key->account, per_account, now_ms)};
}

static struct failures count(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    pthread_mutex_lock(&lockout->lock);
    const struct failures failures = failures_of(lockout, key, now_ms);
    pthread_mutex_unlock(&lockout->lock);
    return failures;
}

int64_t lockout_delay_ms(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    const struct failures failures = count(lockout, key, now_ms);
    const unsigned of_account = failures.account > ACCOUNT_FREE ? failures.account - ACCOUNT_FREE : 0;
    const unsigned most = failures.source > of_account ? failures.source : of_account;
    if (most == 0) return 0;
    const unsigned doublings = most - 1 < DOUBLINGS_MAX ? most - 1 : DOUBLINGS_MAX;
    const int64_t delay = (int64_t)FIRST_DELAY_MS << doublings, longest = key->limits->longest_delay_ms;
    return delay < longest ? delay : longest;
}

enum lockout_verdict lockout_check(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    const struct lockout_limits *limits = key->limits;
    const struct failures failures = count(lockout, key, now_ms);
    if (limits->per_source > 0 && failures.source >= limits->per_source) return LOCKOUT_SOURCE;
    return limits->per_account > 0 && failures.account >= limits->per_account ? LOCKOUT_ACCOUNT : LOCKOUT_OPEN;
}

/* Whether this failure is the one with which the limit is reached. */
static bool add(struct buckets *table, const struct lockout_key *key, uint64_t hash, unsigned limit, int64_t now_ms)
{
    if (hash == 0 || limit == 0) return false;
    const bool before = level(table, key, hash, limit, now_ms) >= limit;
    return bucket_add(table, hash, interval_ms(key, limit), now_ms) >= limit && !before;
}

enum lockout_verdict lockout_failed(struct lockout *lockout, const struct lockout_key *key, int64_t now_ms)
{
    const unsigned per_source = key->limits->per_source, per_account = key->limits->per_account;
    bool source = false, account = false;
    pthread_mutex_lock(&lockout->lock);
    if (is_known(lockout, key, now_ms)) {
        source = add(lockout->own, key, key->pair, per_source, now_ms);
    } else {
        source = add(lockout->sources, key, key->source, per_source, now_ms);
        account = add(lockout->accounts, key, key->account, per_account, now_ms);
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
    buckets_empty(lockout->own);
    pthread_mutex_unlock(&lockout->lock);
}

void lockout_forgive_source(struct lockout *lockout, const struct addr *peer)
{
    pthread_mutex_lock(&lockout->lock);
    bucket_empty(lockout->sources, source_hash(peer));
    buckets_empty(lockout->own);
    pthread_mutex_unlock(&lockout->lock);
}
