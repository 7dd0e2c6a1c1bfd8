/* memory_owner - all that the memory engine keeps for one bare JID or domain. */
#ifndef POSTERN_BACKEND_STORE_MEMORY_OWNER_H
#define POSTERN_BACKEND_STORE_MEMORY_OWNER_H

#include "backend/store/memory_archive.h"
#include "backend/store/store_engine.h"

struct map;

struct memory_record {
    enum store_kind kind;
    char *key, *value;
};

struct memory_entry {
    enum store_kind kind;
    uint64_t id;
    int64_t stamp_ms;
    char *text;
    size_t len;
};

struct memory_owner {
    struct store_account *account; /* NULL: a domain */
    struct memory_record *records; /* sorted by kind and key */
    size_t record_count, record_cap;
    struct memory_entry *entries; /* of all kinds, sorted by id */
    size_t entry_count, entry_cap;
    struct memory_archive archive; /* an account's */
};

/* memory_owner_of - find an owner by its JID; a domain is made when it is not there.  NULL: no such account. */
struct memory_owner *memory_owner_of(struct map *owners, const char *jid);
void memory_owner_free(struct memory_owner *owner);

void memory_owner_get_records(const struct memory_owner *owner, unsigned kinds, const char *key,
                              struct store_records *out);
/* value NULL: delete. */
void memory_owner_change(struct memory_owner *owner, const struct store_record *change);

/* Count, bytes and oldest stamp of a queue. */
void memory_owner_sum(const struct memory_owner *owner, enum store_kind kind, struct store_remote *out);
void memory_owner_append(struct memory_owner *owner, enum store_kind kind, const struct store_entry *entry);
void memory_owner_get_entries(const struct memory_owner *owner, enum store_kind kind, uint64_t after, size_t max,
                              struct store_entries *out);
/* ids NULL: all up to and with last. */
void memory_owner_del_entries(struct memory_owner *owner, enum store_kind kind, const uint64_t *ids, size_t count,
                              uint64_t last);

#endif
