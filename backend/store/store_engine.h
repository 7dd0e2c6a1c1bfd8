/* store_engine - what a storage engine offers to the generic store.
 *
 * An engine is a row of the table in store.c.  All its functions run on the store's own thread, but for open, which
 * runs before that thread is started, so an engine needs no lock. */
#ifndef POSTERN_BACKEND_STORE_STORE_ENGINE_H
#define POSTERN_BACKEND_STORE_STORE_ENGINE_H

#include "backend/store.h"
#include "lib/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;

/* What an engine found, in the arena of the call. */
struct store_names {
    struct arena *arena;
    const char **items;
    size_t count, cap;
};

struct store_shapes {
    struct arena *arena;
    struct store_shape *items;
    size_t count, cap;
};

struct store_records {
    struct arena *arena;
    struct store_record *items;
    size_t count, cap;
};

struct store_entries {
    struct arena *arena;
    struct store_entry *items;
    size_t count, cap;
};

struct store_remotes {
    struct arena *arena;
    struct store_remote *items;
    size_t count, cap;
};

struct store_archive_found {
    struct arena *arena;
    bool brief; /* no texts */
    struct store_archived *items;
    size_t count, cap;
};

/* Looking through a range of an archive, without the texts. */
struct store_archive_scan {
    uint64_t low, high; /* ids, both included; low is not 0; what has been seen is taken off */
    bool backwards;
    size_t rows; /* look at no more than these */
    bool ended;  /* the engine says: nothing is left in the range */
    /* false: stop behind this one.  The texts live during the call. */
    bool (*fn)(struct store_archive_scan *scan, uint64_t id, const char *with_bare, const char *with_resource);
};

/* store_archive_scan_see - what an engine does with each row: false when it shall stop. */
bool store_archive_scan_see(struct store_archive_scan *scan, uint64_t id, const char *with_bare,
                            const char *with_resource);

/* For engines that purge: whether the oldest entry of an archive of that size may stay; that one has gone; the oldest
 * that is left has that id. */
bool store_archive_may_stay(const struct store_archive_keep *keep, const struct store_archive_size *size, uint64_t id);
void store_archive_took(struct store_archive_size *size, struct store_archive_purged *purged, uint64_t bytes);
void store_archive_left(struct store_archive_purged *purged, uint64_t id);

/* The engine adds what it found; texts are copied. */
void store_names_add(struct store_names *names, const char *local, const char *domain);
/* store_shapes_add - as many accounts more of a shape (its own number does not count). */
void store_shapes_add(struct store_shapes *shapes, const struct store_shape *shape, uint64_t accounts);
void store_records_add(struct store_records *records, enum store_kind kind, const char *key, const char *value);
/* store_limit_allows - whether so many entries and bytes leave room for one more of len bytes. */
bool store_limit_allows(const struct store_limit *limit, uint64_t entries, uint64_t bytes, size_t len);
void store_entries_add(struct store_entries *entries, uint64_t id, int64_t stamp_ms, const char *text, size_t len);
void store_archive_found_add(struct store_archive_found *found, const struct store_archived *entry);
void store_remotes_add(struct store_remotes *remotes, const struct store_remote *remote);

/* What a check found: counts, and texts in the arena. */
struct store_check {
    struct arena *arena;
    struct store_findings findings;
    atomic_bool *stop; /* set: give up soon */
};

/* store_check_fault - one more fault; beyond some hundred they are only counted. */
void store_check_fault(struct store_check *check, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* store_kind_name - as in the database. */
const char *store_kind_name(enum store_kind kind);
/* store_kind_find - by that name; STORE_KINDS: none. */
enum store_kind store_kind_find(const char *name);

struct store_engine {
    const char *name;
    /* The engine's state for a folder, or NULL and a message in why. */
    void *(*open)(const char *folder, char *why, size_t cap);
    void (*close)(void *engine);

    /* A batch: begin, any number of operations, then commit; a write counts when commit has returned STORE_OK, and none
     * of the batch does otherwise.  An operation that does not return STORE_OK has changed nothing, and leaves the
     * batch as it was, or makes commit fail. */
    enum store_status (*begin)(void *engine);
    enum store_status (*commit)(void *engine);
    /* After a batch, when its callers have been answered: what need not be done while they wait. */
    void (*rest)(void *engine);

    /* A small step of what is to be cleared away some time: a batch of its own.  false: there is nothing of that kind.
     */
    bool (*tidy)(void *engine);

    /* Several operations as one: what fn does happens as a whole, or not at all when it returns no STORE_OK. */
    enum store_status (*as_one)(void *engine, enum store_status (*fn)(void *engine, void *arg), void *arg);

    enum store_status (*account_get)(void *engine, const char *local, const char *domain, struct store_account *out);
    enum store_status (*account_add)(void *engine, const struct store_account *account);
    enum store_status (*account_set_keys)(void *engine, const struct store_account *account);
    enum store_status (*account_set_disabled)(void *engine, const char *local, const char *domain, bool disabled);
    enum store_status (*account_del)(void *engine, const char *local, const char *domain);
    /* In any order. */
    enum store_status (*account_shapes)(void *engine, const char *domain, struct store_shapes *out);
    /* In any order; domain NULL: of all. */
    enum store_status (*account_list)(void *engine, const char *domain, bool disabled, struct store_names *out);

    /* As store_records_* and store_queue_*; the owner with a local part must be an account. */
    enum store_status (*records_get)(void *engine, const char *owner, unsigned kinds, const char *key,
                                     struct store_records *out);
    enum store_status (*records_change)(void *engine, const char *owner, const struct store_record *changes,
                                        size_t count);
    /* entry->id is set; see store_limit_allows. */
    enum store_status (*queue_add)(void *engine, const char *owner, enum store_kind kind,
                                   const struct store_limit *limit, struct store_entry *entry);
    enum store_status (*queue_get)(void *engine, const char *owner, enum store_kind kind, uint64_t after, size_t max,
                                   struct store_entries *out);
    enum store_status (*queue_del)(void *engine, const char *owner, enum store_kind kind, const uint64_t *ids,
                                   size_t count, uint64_t last);
    enum store_status (*remote_list)(void *engine, struct store_remotes *out);

    /* As store_archive_*.  archive_scan and archive_fetch are for reading between batches as well. */
    enum store_status (*archive_add)(void *engine, const char *owner, const struct store_archived *entry);
    enum store_status (*archive_last)(void *engine, const char *owner, uint64_t *id);
    enum store_status (*archive_scan)(void *engine, const char *owner, struct store_archive_scan *scan);
    /* One entry; STORE_NOT_FOUND: it is not there. */
    enum store_status (*archive_fetch)(void *engine, const char *owner, uint64_t id, struct store_archive_found *out);
    enum store_status (*archive_size)(void *engine, const char *owner, struct store_archive_size *size);
    /* Take out the oldest entries that may not stay, some hundred at most: purged is added to; *more: there are others.
     */
    enum store_status (*archive_purge)(void *engine, const char *owner, const struct store_archive_keep *keep,
                                       struct store_archive_purged *purged, bool *more);

    /* A copy made in steps between batches; NULL where the engine has none.  begin: NULL and a message in why.  step:
     * false when it is done, or has failed with a message in why.  end: also of one that is given up. */
    void *(*copy_begin)(void *engine, int fd, char *why, size_t cap);
    bool (*copy_step)(void *copy, char *why, size_t cap);
    void (*copy_end)(void *copy);

    /* As store_restore; NULL where the engine has none. */
    int (*restore)(const char *folder, int fd, char *kept, char *why, size_t cap);

    /* On a thread of its own, while batches go on. */
    enum store_status (*check)(const char *folder, struct store_check *check);
};

extern const struct store_engine STORE_SQLITE;
extern const struct store_engine STORE_MEMORY;

#endif
