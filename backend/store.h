/* store - what must survive a restart, behind one asynchronous interface.
 *
 * Engines are rows: SQLite, and memory for unit tests.  A call is posted to the engine's own thread; the answer is
 * posted to the caller's mailbox, in the order of the calls for any one address.  A write is answered when it is
 * durable: several are committed together (one savepoint each; a failed commit fails every waiter). */
#ifndef POSTERN_BACKEND_STORE_H
#define POSTERN_BACKEND_STORE_H

#include "lib/check.h"
#include "lib/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum store_status {
    STORE_OK,
    STORE_NOT_FOUND,
    STORE_EXISTS,
    STORE_FULL,   /* no room on the disk: resource-constraint */
    STORE_LIMIT,  /* the queue is as long as the caller allows */
    STORE_FAILED, /* anything else; the log has it */
};

enum {
    STORE_HASHES = 3,
    STORE_HASH_SHA1 = 0,
    STORE_HASH_SHA256 = 1,
    STORE_HASH_SHA512 = 2,
    STORE_KEY_MAX_BYTES = 64,
    STORE_SALT_MAX_BYTES = 64
};

/* SCRAM keys of one hash (RFC 5802 section 3); len 0: none for that hash. */
struct store_scram_keys {
    uint32_t iterations;
    size_t salt_len;
    uint8_t salt[STORE_SALT_MAX_BYTES];
    size_t key_len; /* of both keys: the hash's length in bytes */
    uint8_t stored_key[STORE_KEY_MAX_BYTES];
    uint8_t server_key[STORE_KEY_MAX_BYTES];
};

struct store_account {
    char local[1024];  /* prepared */
    char domain[1024]; /* prepared */
    bool disabled;     /* by an administrator: nobody may log in to it */
    struct store_scram_keys keys[STORE_HASHES];
};

/* How the keys of some accounts are made; iterations 0: none for that hash. */
struct store_shape {
    uint32_t iterations[STORE_HASHES];
    size_t salt_len[STORE_HASHES];
    uint64_t accounts; /* that have such keys */
};

/* store_open - open (and make, and migrate) the store in a private folder, and start its thread (so: after the
 * sandbox). engine is "sqlite" or "memory".  NULL and a message in why: not there, not private, locked, newer than this
 * program. */
MUSTCHECK struct store *store_open(const char *engine, const char *folder, char *why, size_t cap);

/* store_finish - wait until every call that was posted is done; its answer is in a mailbox then.  Copies and checks are
 * not waited for. */
void store_finish(struct store *store);

/* store_close - finish and commit what was posted, then end the thread.  Answers may still arrive in mailboxes. */
void store_close(struct store **store);

typedef void store_account_fn(enum store_status status, const struct store_account *account, void *arg);
typedef void store_done_fn(enum store_status status, void *arg);
typedef void store_names_fn(enum store_status status, const char *const *jids, size_t count, void *arg);
typedef void store_shapes_fn(enum store_status status, const struct store_shape *shapes, size_t count, void *arg);

/* Accounts.  local and domain are prepared; what is passed is copied; the answer's pointers live during the call only.
 */
void store_account_get(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                       store_account_fn *fn, void *arg);
void store_account_add(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                       store_done_fn *fn, void *arg); /* STORE_EXISTS */
void store_account_set_keys(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                            store_done_fn *fn, void *arg); /* STORE_NOT_FOUND */
/* store_account_add_keys - the keys of the hashes that the account lacks.  STORE_NOT_FOUND; STORE_EXISTS: of a hash
 * that it has keys of, others are passed, or none of its own at all: its password may be another one by now. */
void store_account_add_keys(struct store *store, struct mailbox *reply_to, const struct store_account *account,
                            store_done_fn *fn, void *arg);
void store_account_del(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                       store_done_fn *fn, void *arg); /* STORE_NOT_FOUND */
void store_account_set_disabled(struct store *store, struct mailbox *reply_to, const char *local, const char *domain,
                                bool disabled, store_done_fn *fn, void *arg); /* STORE_NOT_FOUND */
/* store_account_shapes - the shapes of the keys of a domain's accounts, the most frequent first; accounts without any
 * keys are left out. */
void store_account_shapes(struct store *store, struct mailbox *reply_to, const char *domain, store_shapes_fn *fn,
                          void *arg);
/* store_account_list - the bare JIDs of a domain (NULL: of all), sorted.  store_account_list_disabled - only those that
 * are. */
void store_account_list(struct store *store, struct mailbox *reply_to, const char *domain, store_names_fn *fn,
                        void *arg);
void store_account_list_disabled(struct store *store, struct mailbox *reply_to, const char *domain, store_names_fn *fn,
                                 void *arg);

/* What belongs to an owner: a bare JID of ours, which must be an account's (STORE_NOT_FOUND; deleting the account
 * deletes all it owns), or a domain, for what belongs to a host.  Values are texts in UTF-8, of XML by convention. */

enum store_kind {
#define STORE_KIND(id, name, help) STORE_##id,
#include "backend/store_kinds.def"
#undef STORE_KIND
    STORE_KINDS
};

enum { STORE_KEY_TEXT_MAX_BYTES = 3071 }; /* a full JID; without the NUL */

/* Records: one value for each owner, kind and key. */
struct store_record {
    enum store_kind kind;
    const char *key;
    const char *value; /* NUL-terminated; in a change, NULL deletes */
};

typedef void store_records_fn(enum store_status status, const struct store_record *records, size_t count, void *arg);

/* store_records_get - all records of the kinds in the mask (1u << kind), sorted by kind and key.  None is STORE_OK with
 * count 0.  key NULL: any key.  STORE_OFFLINE in the mask: one empty record if there is anything in that queue. */
void store_records_get(struct store *store, struct mailbox *reply_to, const char *owner, unsigned kinds,
                       const char *key, store_records_fn *fn, void *arg);

/* store_records_change - all the changes, or none.  Deleting what is not there is fine. */
void store_records_change(struct store *store, struct mailbox *reply_to, const char *owner,
                          const struct store_record *changes, size_t count, store_done_fn *fn, void *arg);

/* Queues: texts in the order in which they were added. */
struct store_entry {
    uint64_t id;      /* ascending; never used again in this store */
    int64_t stamp_ms; /* since 1970 */
    const char *text; /* NUL-terminated */
    size_t len;
};

typedef void store_added_fn(enum store_status status, uint64_t id, void *arg);
typedef void store_entries_fn(enum store_status status, const struct store_entry *entries, size_t count, void *arg);

/* How long a queue may become by one more entry. */
struct store_limit {
    uint64_t entries, bytes; /* of their texts; 0: no limit */
};

/* store_queue_add - append.  STORE_LIMIT when there is no room for it; limit NULL: there always is. */
void store_queue_add(struct store *store, struct mailbox *reply_to, const char *owner, enum store_kind kind,
                     int64_t stamp_ms, const char *text, size_t len, const struct store_limit *limit,
                     store_added_fn *fn, void *arg);

/* store_queue_get - the first max entries behind the id after (0: from the start). */
void store_queue_get(struct store *store, struct mailbox *reply_to, const char *owner, enum store_kind kind,
                     uint64_t after, size_t max, store_entries_fn *fn, void *arg);

/* store_queue_del - take entries out, by their ids; ids NULL: all up to and with the id last. */
void store_queue_del(struct store *store, struct mailbox *reply_to, const char *owner, enum store_kind kind,
                     const uint64_t *ids, size_t count, uint64_t last, store_done_fn *fn, void *arg);

/* A queue of the kind REMOTE that is not empty. */
struct store_remote {
    const char *owner;
    uint64_t count, bytes; /* of entries, and of their texts */
    int64_t oldest_ms;     /* the first stamp */
};

typedef void store_remotes_fn(enum store_status status, const struct store_remote *remotes, size_t count, void *arg);

/* store_remote_list - all of them, in any order; it takes no longer for what else is in the store. */
void store_remote_list(struct store *store, struct mailbox *reply_to, store_remotes_fn *fn, void *arg);

/* Archives: the messages of an account, for XEP-0313.  An owner is an account's bare JID, never a domain. */
struct store_archived {
    uint64_t id;                           /* microseconds since 1970, ascending for the owner: the caller sees to it */
    int64_t stamp_ms;                      /* since 1970; as the id says but for a clock that was set back */
    const char *with_bare, *with_resource; /* the other side; no resource: "" */
    const char *text;                      /* NUL-terminated */
    size_t len;
};

/* store_archive_add - STORE_NOT_FOUND: no such account; STORE_EXISTS: the id is not newer than the newest.  Calls that
 * are posted together are committed together. */
void store_archive_add(struct store *store, struct mailbox *reply_to, const char *owner,
                       const struct store_archived *entry, store_done_fn *fn, void *arg);

/* store_archive_watch - have fn called once, in the mailbox, when something is archived. */
void store_archive_watch(struct store *store, struct mailbox *reply_to, mailbox_fn *fn, void *arg);

/* store_archive_last - the newest id, 0 when the archive is empty. */
void store_archive_last(struct store *store, struct mailbox *reply_to, const char *owner, store_added_fn *fn,
                        void *arg);

/* Zeroed: all of it. */
struct store_archive_query {
    const char *with_bare;            /* NULL: whoever it was with */
    const char *with_resource;        /* NULL: any */
    uint64_t from, to;                /* ids, both included: times, in microseconds; to 0: no end */
    uint64_t after, before;           /* ids, both excluded; before 0: no end */
    const uint64_t *ids;              /* NULL: any; else only these */
    size_t id_count;                  /* of them */
    uint64_t page_after, page_before; /* where in the result, as after and before; the total is of the whole result */
    size_t max;                       /* at most so many entries; 0: none, but the total */
    bool backwards;                   /* the last max of the page, not its first; in ascending order all the same */
    bool total;                       /* count the whole result; that reads all of it */
    bool brief;                       /* the entries come without their texts (NULL), but with their lengths */
};

struct store_archive_page {
    const struct store_archived *entries; /* ascending */
    size_t count;
    bool more;      /* in the direction of reading there are more that fit, but for max */
    bool missing;   /* an id of after, before, ids, page_after or page_before is not in the archive; the rest holds */
    uint64_t total; /* when it was asked for */
};

typedef void store_archive_page_fn(enum store_status status, const struct store_archive_page *page, void *arg);

/* store_archive_get - read some of an archive: in steps, between which others are served.  page is NULL unless
 * STORE_OK.  STORE_NOT_FOUND: no such account. */
void store_archive_get(struct store *store, struct mailbox *reply_to, const char *owner,
                       const struct store_archive_query *query, store_archive_page_fn *fn, void *arg);

/* What an archive holds. */
struct store_archive_size {
    uint64_t entries, bytes; /* of their texts */
    uint64_t first, last;    /* ids; 0: it is empty */
};

typedef void store_archive_size_fn(enum store_status status, const struct store_archive_size *size, void *arg);

/* store_archive_size - it costs the same for all archives.  size is NULL unless STORE_OK. */
void store_archive_size(struct store *store, struct mailbox *reply_to, const char *owner, store_archive_size_fn *fn,
                        void *arg);

/* What may stay in an archive; the oldest entries go.  Zeroed: all of it. */
struct store_archive_keep {
    uint64_t from;           /* ids below it go */
    uint64_t entries, bytes; /* at most so many; 0: no limit */
};

/* What has gone, and what is left. */
struct store_archive_purged {
    uint64_t entries, bytes;
    uint64_t first; /* the oldest id that is left, in any archive of those that were looked at; 0: none */
};

typedef void store_archive_purged_fn(enum store_status status, const struct store_archive_purged *purged, void *arg);

/* store_archive_trim - delete from an archive, or, when the owner is a domain, from those of all its accounts, what may
 * not stay: in steps, between which others are served.  purged is NULL unless STORE_OK. */
void store_archive_trim(struct store *store, struct mailbox *reply_to, const char *owner,
                        const struct store_archive_keep *keep, store_archive_purged_fn *fn, void *arg);

/* All that there is of an account, as it comes from another server. */
struct store_whole {
    const struct store_account *account;
    const struct store_record *records;
    size_t record_count;
    enum store_kind queue; /* of the entries; their ids do not count */
    const struct store_entry *entries;
    size_t entry_count;
    bool replace; /* what is there of an account of that name goes */
};

/* store_account_put - make an account with all it has, or nothing of it: STORE_EXISTS unless it may be replaced,
 * STORE_LIMIT when the key of a record is too long. */
void store_account_put(struct store *store, struct mailbox *reply_to, const struct store_whole *whole,
                       store_done_fn *fn, void *arg);

/* Looking after the whole store, while it goes on. */

typedef void store_copy_fn(enum store_status status, uint64_t bytes, const char *why, void *arg);

/* store_copy - a consistent copy, of the moment at which it is finished, into an empty file that is open for reading
 * and writing (fd: taken): answered when it is on the disk.  Else why says what went wrong. */
void store_copy(struct store *store, struct mailbox *reply_to, int fd, store_copy_fn *fn, void *arg);

struct store_findings {
    uint64_t accounts, records, entries; /* that were looked at */
    uint64_t faults;
    const char *const *texts; /* of the first faults, for a person */
    size_t text_count;
};

typedef void store_check_fn(enum store_status status, const struct store_findings *findings, void *arg);

/* store_check - read all, and tell what is not as it should be.  Only STORE_OK has findings; STORE_EXISTS: one is under
 * way already. */
void store_check(struct store *store, struct mailbox *reply_to, store_check_fn *fn, void *arg);

enum { STORE_PATH_MAX_BYTES = 4096 };

/* store_restore - put the copy that fd reads (kept by the caller) in the place of the store in folder, which nobody has
 * open; the caller holds the folder's lock.  The copy is checked first; the old store is kept under the name that is
 * put into kept (STORE_PATH_MAX_BYTES), "" when there was none.  Returns 0, or -1 and a message in why: then nothing
 * has changed. */
MUSTCHECK int store_restore(const char *engine, const char *folder, int fd, char *kept, char *why, size_t cap);

#endif
