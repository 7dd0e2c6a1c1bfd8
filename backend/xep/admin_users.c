/* admin_users - XEP-0133: what there is to know of users: their number, their names, and of one of them roster, last
 * presence and sessions.
 *
 * Online is who is logged in; active who is available as well; idle who is not. */
#include "backend/adhoc.h"
#include "backend/data_form.h"
#include "backend/elem_parse.h"
#include "backend/last.h"
#include "backend/ns.h"
#include "backend/roster_item.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/shard_tour.h"
#include "backend/stream.h"
#include "backend/user.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIST_MAX = 1000, NUMBER_BYTES = 24 };

enum admin_kind { REGISTERED, DISABLED, ONLINE, ACTIVE, IDLE };

static const struct {
    const char *number, *list, *label;
} KINDS[] = {
    [REGISTERED] = {"registeredusersnum", "registereduserjids", "The users"},
    [DISABLED] = {"disabledusersnum", "disableduserjids", "The disabled users"},
    [ONLINE] = {"onlineusersnum", "onlineuserjids", "The users online"},
    [ACTIVE] = {"activeusersnum", "activeuserjids", "The available users"},
    [IDLE] = {"idleusersnum", "idleuserjids", "The users who are online, but not available"},
};

/* Users that are being counted, and named as far as there is room. */
struct admin_census {
    struct adhoc *call;
    enum admin_kind kind;
    size_t room, count;
    struct elem *field; /* of the result; NULL: they are counted only */
};

static void add_user(struct admin_census *census, const char *bare)
{
    if (census->field && census->count < census->room) data_form_value(census->field, bare);
    census->count++;
}

static void census_end(void *arg)
{
    struct admin_census *census = arg;
    struct adhoc *call = census->call;
    if (!census->field) {
        char number[NUMBER_BYTES];
        snprintf(number, sizeof(number), "%zu", census->count);
        data_form_field(adhoc_result(call), KINDS[census->kind].number, NULL, KINDS[census->kind].label, number);
    } else if (census->count > census->room) {
        adhoc_note(call, "warn", "These are %zu of %zu.", census->room, census->count);
    }
    free(census);
    adhoc_finish(call);
}

static bool counts(enum admin_kind kind, const struct user *user)
{
    bool available = false;
    LIST_EACH (link, &user->sessions) {
        available |= LIST_ENTRY(link, struct session, link)->available;
    }
    if (list_empty(&user->sessions)) return false;
    return kind == ONLINE || (kind == ACTIVE) == available;
}

static bool visit_user(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    struct admin_census *census = arg;
    const struct user *user = value;
    const char *domain = strchr(user->bare, '@');
    const bool here = domain && strcmp(domain + 1, census->call->request->to->domain) == 0;
    if (here && counts(census->kind, user)) add_user(census, user->bare);
    return true;
}

static void visit_shard(struct shard *shard, void *arg)
{
    map_each(shard->users, visit_user, arg);
}

static void on_names(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    struct admin_census *census = arg;
    for (size_t i = 0; i < count; i++)
        add_user(census, jids[i]);
    if (status == STORE_OK) {
        census_end(census);
        return;
    }
    adhoc_refuse(census->call, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL, NULL);
    free(census);
}

static void take_census(struct adhoc *call, enum admin_kind kind, struct elem *field, size_t room)
{
    struct admin_census *census = MEM_NEW(struct admin_census);
    struct backend *backend = call->shard->backend;
    *census = (struct admin_census){.call = call, .kind = kind, .room = room, .field = field};
    const char *domain = call->request->to->domain;
    if (kind == REGISTERED) {
        store_account_list(backend->store, call->shard->mailbox, domain, on_names, census);
    } else if (kind == DISABLED) {
        store_account_list_disabled(backend->store, call->shard->mailbox, domain, on_names, census);
    } else {
        shard_tour(backend, visit_shard, call->shard->mailbox, census_end, census);
    }
}

void admin_count_registered(struct adhoc *call)
{
    take_census(call, REGISTERED, NULL, 0);
}

void admin_count_disabled(struct adhoc *call)
{
    take_census(call, DISABLED, NULL, 0);
}

void admin_count_online(struct adhoc *call)
{
    take_census(call, ONLINE, NULL, 0);
}

void admin_count_active(struct adhoc *call)
{
    take_census(call, ACTIVE, NULL, 0);
}

void admin_count_idle(struct adhoc *call)
{
    take_census(call, IDLE, NULL, 0);
}

void admin_list_form(struct elem *form)
{
    static const char *const ROOMS[] = {"25", "50", "75", "100", "150", "200", "500", "1000", "none"};
    adhoc_fill(form, "List users", NULL, 0);
    struct elem *field = data_form_field(form, "max_items", "list-single", "At most so many", "100");
    for (size_t i = 0; i < ARRAY_LEN(ROOMS); i++)
        data_form_option(field, ROOMS[i], ROOMS[i]);
}

static void list(struct adhoc *call, enum admin_kind kind)
{
    const char *text = data_form_get(call->form, "max_items");
    char *end = NULL;
    const unsigned long room = text && strcmp(text, "none") != 0 ? strtoul(text, &end, 10) : LIST_MAX;
    if ((end && *end) || room == 0 || room > LIST_MAX) {
        adhoc_refuse(call, STANZA_ERROR_NOT_ACCEPTABLE, "bad-payload", "max_items is a number up to 1000, or none");
        return;
    }
    struct elem *field = data_form_field(adhoc_result(call), KINDS[kind].list, NULL, KINDS[kind].label, NULL);
    take_census(call, kind, field, room);
}

void admin_list_registered(struct adhoc *call)
{
    list(call, REGISTERED);
}

void admin_list_disabled(struct adhoc *call)
{
    list(call, DISABLED);
}

void admin_list_online(struct adhoc *call)
{
    list(call, ONLINE);
}

void admin_list_active(struct adhoc *call)
{
    list(call, ACTIVE);
}

void admin_list_idle(struct adhoc *call)
{
    list(call, IDLE);
}

/* One user. */

static const struct adhoc_field ONE[] = {{"accountjids", "jid-multi", "Addresses", true}};

/* A walk through the addresses that were given: of each its records, then, on its own shard, its sessions. */
struct admin_inquiry {
    struct adhoc *call;
    struct elem *result;
    const struct elem *field, *value;
    struct jid *jid;
    unsigned kinds;
    void (*read)(struct admin_inquiry *inquiry, const struct store_record *records, size_t count,
                 const struct user *user);
    size_t known;
};

static void inquire_next(struct admin_inquiry *inquiry);

static void on_records(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct admin_inquiry *inquiry = arg;
    struct shard *owner = shard_of(inquiry->call->shard->backend, inquiry->jid->bare);
    if (status == STORE_OK) {
        inquiry->known++;
        data_form_field(inquiry->result, "accountjids", NULL, NULL, inquiry->jid->bare);
        inquiry->read(inquiry, records, count, user_find(owner, inquiry->jid->bare));
    } else {
        adhoc_note(inquiry->call, "error", "%s: %s", inquiry->jid->bare,
                   status == STORE_NOT_FOUND ? "there is no such account" : "the store failed");
    }
    jid_free(&inquiry->jid);
    inquire_next(inquiry);
}

/* The answer comes to the user's shard. */
static void inquire_next(struct admin_inquiry *inquiry)
{
    struct adhoc *call = inquiry->call;
    const char *why = NULL;
    while ((inquiry->value = data_form_next(inquiry->field, inquiry->value)) != NULL) {
        inquiry->jid = adhoc_account(call, elem_text(inquiry->value, NULL), &why);
        if (inquiry->jid) {
            struct backend *backend = call->shard->backend;
            store_records_get(backend->store, shard_of(backend, inquiry->jid->bare)->mailbox, inquiry->jid->bare,
                              inquiry->kinds, NULL, on_records, inquiry);
            return;
        }
        adhoc_note(call, "error", "%s: %s", elem_text(inquiry->value, NULL), why);
    }
    if (inquiry->known > 0) {
        adhoc_finish(call);
    } else {
        adhoc_refuse(call, STANZA_ERROR_ITEM_NOT_FOUND, NULL, "there is no such account");
    }
    free(inquiry);
}

static void inquire(struct adhoc *call, unsigned kinds,
                    void (*read)(struct admin_inquiry *inquiry, const struct store_record *records, size_t count,
                                 const struct user *user))
{
    struct admin_inquiry *inquiry = MEM_NEW(struct admin_inquiry);
    inquiry->call = call;
    inquiry->result = adhoc_result(call);
    inquiry->field = data_form_find(call->form, "accountjids");
    inquiry->kinds = kinds;
    inquiry->read = read;
    inquire_next(inquiry);
}

void admin_roster_form(struct elem *form)
{
    adhoc_fill(form, "Get rosters", ONE, ARRAY_LEN(ONE));
}

static struct roster_item *item_of(struct shard *shard, const struct store_record *record)
{
    struct elem *elem = NULL;
    if (record->kind == STORE_ROSTER && *record->key)
        elem = elem_parse(&shard->parser, record->value, strlen(record->value));
    struct roster_item *item = elem ? roster_item_read(record->key, elem) : NULL;
    elem_free(&elem);
    if (!item || (item->flags & ROSTER_LISTED)) return item;
    free(item);
    return NULL;
}

static void read_roster(struct admin_inquiry *inquiry, const struct store_record *records, size_t count,
                        const struct user *user)
{
    (void)user;
    struct shard *shard = shard_of(inquiry->call->shard->backend, inquiry->jid->bare);
    struct elem *query = elem_add(inquiry->result, NS_ROSTER, "query");
    for (size_t i = 0; i < count; i++) {
        struct roster_item *item = item_of(shard, &records[i]);
        if (item) roster_item_add(item, query);
        free(item);
    }
}

void admin_roster(struct adhoc *call)
{
    inquire(call, 1U << STORE_ROSTER, read_roster);
}

void admin_last_form(struct elem *form)
{
    adhoc_fill(form, "Get when users were last there", ONE, ARRAY_LEN(ONE));
}

static void read_last(struct admin_inquiry *inquiry, const struct store_record *records, size_t count,
                      const struct user *user)
{
    struct shard *shard = shard_of(inquiry->call->shard->backend, inquiry->jid->bare);
    int64_t at_s = time(NULL);
    char *status = NULL, text[40];
    if (!(user && !list_empty(&user->sessions)) && !last_read(shard, records, count, &at_s, &status)) {
        adhoc_note(inquiry->call, "info", "%s: never seen yet", inquiry->jid->bare);
        return;
    }
    const time_t at = (time_t)at_s;
    struct tm utc = {0};
    gmtime_r(&at, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    data_form_field(inquiry->result, "lastlogin", NULL, NULL, text);
    free(status);
}

void admin_last(struct adhoc *call)
{
    inquire(call, 1U << STORE_LAST, read_last);
}

void admin_stats_form(struct elem *form)
{
    adhoc_fill(form, "Get statistics of users", ONE, ARRAY_LEN(ONE));
}

static void add_sessions(struct elem *result, const struct user *user)
{
    struct elem *addresses = data_form_field(result, "ipaddresses", NULL, "Addresses", NULL);
    struct elem *resources = data_form_field(result, "onlineresources", NULL, "Resources online", NULL);
    LIST_EACH (link, &user->sessions) {
        char text[ADDR_TEXT_BYTES];
        const struct session *session = LIST_ENTRY(link, struct session, link);
        data_form_value(resources, session->jid->resource);
        if (session->stream)
            data_form_value(addresses, addr_format(&session->stream->peer, ADDR_FULL, text, sizeof(text)));
    }
}

static void read_stats(struct admin_inquiry *inquiry, const struct store_record *records, size_t count,
                       const struct user *user)
{
    struct shard *shard = shard_of(inquiry->call->shard->backend, inquiry->jid->bare);
    char number[NUMBER_BYTES];
    size_t contacts = 0;
    for (size_t i = 0; i < count; i++) {
        struct roster_item *item = item_of(shard, &records[i]);
        if (item) contacts++;
        free(item);
    }
    snprintf(number, sizeof(number), "%zu", contacts);
    data_form_field(inquiry->result, "rostersize", NULL, "Contacts", number);
    if (user) add_sessions(inquiry->result, user);
}

void admin_stats(struct adhoc *call)
{
    inquire(call, 1U << STORE_ROSTER, read_stats);
}
