/* import_user - one user of an XEP-0227 document as what the store keeps of an account.
 *
 * What is not right is left out with a note; what goes into the store can be read from it again. */
#ifndef POSTERN_BACKEND_IMPORT_USER_H
#define POSTERN_BACKEND_IMPORT_USER_H

#include "backend/elem.h"
#include "backend/import_report.h"
#include "backend/jid.h"
#include "backend/store.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct xml;

enum { IMPORT_PASSWORD_BYTES = 1024 };

/* Texts of records and entries live in the arena. */
struct import_user {
    struct arena *arena;
    struct import_report *report;
    struct xml **parser; /* to try what is written */
    struct jid *jid;
    char *place;
    struct store_account account;
    char password[IMPORT_PASSWORD_BYTES]; /* prepared; "": there are keys, or nothing */
    struct store_record *records;
    size_t record_count, record_cap;
    struct store_entry *entries; /* for STORE_OFFLINE */
    size_t entry_count, entry_cap;
    uint64_t counts[IMPORT_COUNTS];
};

/* import_user_new - from a <user/> and its address (taken); place may be "". */
struct import_user *import_user_new(const struct elem *elem, struct jid *jid, const char *place, struct xml **parser,
                                    struct import_report *report);
void import_user_free(struct import_user **user);

/* For the files that read the parts: import_user_note - something about this user; import_user_record - one more
 * record, unless its value cannot be read again (false). */
void import_user_note(struct import_user *user, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool import_user_record(struct import_user *user, enum store_kind kind, const char *key, const struct elem *value);
bool import_user_text(struct import_user *user, enum store_kind kind, const char *key, const char *value);
void import_user_entry(struct import_user *user, int64_t stamp_ms, const struct elem *message);

#endif
