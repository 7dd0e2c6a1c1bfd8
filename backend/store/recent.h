/* recent - archived messages that are in the log of archives, and not yet in the archives themselves.
 *
 * The log is a row of chunks, one for each commit, kept in memory as they are in the database; entries point into them.
 * An owner's entries here are newer than all in its archive.  Owners with entries are in the order of their oldest
 * chunk, so that the log can be cleared from its start. */
#ifndef POSTERN_BACKEND_STORE_RECENT_H
#define POSTERN_BACKEND_STORE_RECENT_H

#include "backend/store/store_engine.h"
#include "lib/list.h"

#include <stdint.h>

struct map;

struct recent_chunk {
    struct list link;
    uint64_t order; /* ascending */
    int64_t seq;    /* its row in the database; 0: it has none yet */
    char *data;
    size_t len, cap;
};

struct recent_entry {
    uint64_t id;
    struct recent_chunk *chunk;
    size_t offset; /* of its record */
};

struct recent_owner {
    struct list dirty; /* in a list of those that have entries */
    int64_t number;
    uint64_t last;              /* the newest id here or in the archive */
    struct recent_entry *items; /* ascending */
    size_t count, cap;
};

/* Zeroed: not loaded. */
struct recent {
    bool loaded;
    struct map *owners; /* by number */
    struct list dirty;
    struct list chunks;
    struct recent_chunk *open; /* what the batch has added; the last of chunks, or NULL */
    uint64_t last_order;       /* of a chunk */
    size_t bytes;              /* of all chunks */
    size_t added;              /* entries in this batch */
};

/* A record of the log. */
struct recent_record {
    int64_t owner;
    bool cut;                    /* entries up to entry.id go; else it is one more */
    struct store_archived entry; /* its texts are in the chunk */
    size_t end;                  /* where the next one begins */
};

void recent_begin(struct recent *recent);
/* recent_forget - all of it. */
void recent_forget(struct recent *recent);

/* recent_owner_find - NULL: not known.  recent_owner_new - without entries. */
struct recent_owner *recent_owner_find(const struct recent *recent, int64_t number);
struct recent_owner *recent_owner_new(struct recent *recent, int64_t number, uint64_t last);
/* recent_owner_drop - with its entries. */
void recent_owner_drop(struct recent *recent, struct recent_owner *owner);

/* recent_read - the record at an offset of a chunk's data.  1: there is one; 0: the end; -1: it is not what this
 * program writes.  recent_entry_read - an entry's. */
MUSTCHECK int recent_read(const char *data, size_t len, size_t offset, struct recent_record *out);
void recent_entry_read(const struct recent_entry *entry, struct recent_record *out);

/* recent_chunk_new - the next one of the log, with room for len bytes. */
struct recent_chunk *recent_chunk_new(struct recent *recent, int64_t seq, size_t len);

/* recent_add - write an entry that is newer than the owner's last into this batch's chunk. */
void recent_add(struct recent *recent, struct recent_owner *owner, const struct store_archived *entry);
/* recent_note - the same with one that is in a chunk already. */
void recent_note(struct recent *recent, struct recent_owner *owner, uint64_t id, struct recent_chunk *chunk,
                 size_t offset);

/* recent_cut - entries up to an id go, for good: the chunk of this batch says so. */
void recent_cut(struct recent *recent, struct recent_owner *owner, uint64_t id);
/* recent_take - the oldest entries go: so many, or those up to an id. */
void recent_take(struct recent *recent, struct recent_owner *owner, size_t count);
void recent_take_to(struct recent *recent, struct recent_owner *owner, uint64_t id);

/* recent_oldest - the owner whose entries keep the log from becoming shorter; NULL: nobody has any. */
struct recent_owner *recent_oldest(const struct recent *recent);
/* recent_chunk_done - the first chunk, when nobody has entries in it and it is in the database. */
struct recent_chunk *recent_chunk_done(const struct recent *recent);
void recent_chunk_free(struct recent *recent, struct recent_chunk *chunk);

/* See struct store_engine. */
void recent_scan(const struct recent_owner *owner, struct store_archive_scan *scan);
bool recent_find(const struct recent_owner *owner, uint64_t id, struct store_archived *out);

#endif
