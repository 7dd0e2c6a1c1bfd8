/* privacy - the privacy lists of a user in memory.
 *
 * A record is a list as clients write it, <list xmlns='jabber:iq:privacy' name='…'>, under the key "list/" and its
 * name; the record "default" names the default list: <default xmlns='jabber:iq:privacy' name='…'/>.  Source: XEP-0016.
 */
#ifndef POSTERN_BACKEND_PRIVACY_H
#define POSTERN_BACKEND_PRIVACY_H

#include "backend/elem.h"
#include "backend/jid.h"
#include "backend/stanza.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct user;

enum {
    PRIVACY_MESSAGE = 1,      /* incoming */
    PRIVACY_IQ = 2,           /* incoming */
    PRIVACY_PRESENCE_IN = 4,  /* available and unavailable */
    PRIVACY_PRESENCE_OUT = 8, /* likewise */
    PRIVACY_REST = 16,        /* whatever is none of these */
    PRIVACY_ALL = 31,
    PRIVACY_NAME_MAX_BYTES = 256,
};

#define PRIVACY_LIST_KEY    "list/"
#define PRIVACY_DEFAULT_KEY "default"

enum privacy_type { PRIVACY_ANY, PRIVACY_JID, PRIVACY_GROUP, PRIVACY_SUBSCRIPTION };

struct privacy_item {
    uint32_t order;
    uint8_t type;  /* enum privacy_type */
    uint8_t kinds; /* of stanzas: PRIVACY_… */
    bool deny;
    char *value; /* prepared JID, group, or "both" …; NULL for PRIVACY_ANY */
};

/* Its items are in ascending order. */
struct privacy_list {
    char *name;
    size_t count;
    struct privacy_item items[];
};

struct privacy {
    char *default_name; /* NULL: none */
    size_t count;
    struct privacy_list **lists;
};

/* privacy_of - the user's lists; NULL: there are none. */
const struct privacy *privacy_of(const struct user *user);

/* privacy_find - the list of that name; name NULL, or none of that name: NULL. */
const struct privacy_list *privacy_find(const struct user *user, const char *name);

/* privacy_list_new - a list from what a client has written; NULL when something is not as the specification says. */
MUSTCHECK struct privacy_list *privacy_list_new(const struct elem *elem);
void privacy_list_free(struct privacy_list **list);

/* privacy_list_print - add it to a query, with all its items. */
void privacy_list_print(const struct privacy_list *list, struct elem *query);

/* privacy_put - have the list (taken) in memory, instead of the one of its name.  privacy_drop - have none of that
 * name. privacy_set_default - name NULL: none.  All three are for what the store has already. */
void privacy_put(struct user *user, struct privacy_list *list);
void privacy_drop(struct user *user, const char *name);
void privacy_set_default(struct user *user, const char *name);

/* privacy_in_force - the list that decides for a session (NULL: for the account): its active one, or the default. NULL:
 * none, so all is allowed. */
const struct privacy_list *privacy_in_force(const struct user *user, const struct session *session);

/* privacy_has_group - whether a contact of the user is in that group. */
bool privacy_has_group(const struct user *user, const char *group);

/* privacy_allows - whether the list lets a kind of stanza pass from or to that address: section 2.2. */
bool privacy_allows(const struct user *user, const struct privacy_list *list, const struct jid *other, unsigned kind);

#endif
