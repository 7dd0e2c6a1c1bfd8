#include "backend/notice.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/presence.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/shard_tour.h"
#include "backend/user.h"
#include "lib/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOTD    "motd"
#define WELCOME "welcome"

/* What a shard knows of a host: its records. */
struct notice_board {
    char *motd_id, *motd, *welcome; /* NULL: none */
};

static void board_clear(struct notice_board *board)
{
    free(board->motd_id);
    free(board->motd);
    free(board->welcome);
    *board = (struct notice_board){0};
}

static bool free_board(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)arg;
    board_clear(value);
    free(value);
    return true;
}

void notice_forget(struct shard *shard)
{
    if (!shard->notices) return;
    map_each(shard->notices, free_board, NULL);
    map_free(&shard->notices);
}

/* NULL: not read yet. */
static const struct notice_board *board_find(const struct shard *shard, const char *domain)
{
    return shard->notices ? map_get_str(shard->notices, domain) : NULL;
}

static struct stanza *message_new(const char *type, const char *domain, const char *subject, const char *text)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "message");
    elem_set(elem, "type", type);
    elem_set(elem, "from", domain);
    if (subject) elem_add_text(elem_add(elem, NULL, "subject"), subject, strlen(subject));
    elem_add_text(elem_add(elem, NULL, "body"), text, strlen(text));
    struct stanza *stanza = stanza_new(elem);
    CHECK(stanza);
    return stanza;
}

static void send_to(struct session *session, struct stanza *stanza)
{
    elem_set(stanza->elem, "to", session->jid->full);
    session_send(session, stanza);
}

static const char *domain_of(const struct user *user)
{
    const char *at = strchr(user->bare, '@');
    return at ? at + 1 : user->bare;
}

/* To all that are available; false: none is. */
static bool send_to_all(const struct user *user, struct stanza *stanza)
{
    bool sent = false;
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->available) continue;
        send_to(session, stanza);
        sent = true;
    }
    return sent;
}

/* A value of a record: an id and a body, each of which may be missing. */
static char *value_new(const char *id, const char *text)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "message");
    struct buf out = {0};
    elem_set(elem, "id", id);
    if (text) elem_add_text(elem_add(elem, NULL, "body"), text, strlen(text));
    elem_print(elem, "", &out);
    char *value = mem_strndup((const char *)buf_data(&out), buf_len(&out));
    buf_free(&out);
    elem_free(&elem);
    return value;
}

static void read_record(struct shard *shard, struct notice_board *board, const struct store_record *record)
{
    struct elem *elem = elem_parse(&shard->parser, record->value, strlen(record->value));
    const struct elem *body = elem ? elem_child(elem, NULL, "body") : NULL;
    if (body && strcmp(record->key, MOTD) == 0) {
        const char *id = elem_get(elem, "id");
        board->motd_id = mem_strdup(id ? id : "");
        board->motd = mem_strdup(elem_text(body, NULL));
    } else if (body && strcmp(record->key, WELCOME) == 0) {
        board->welcome = mem_strdup(elem_text(body, NULL));
    }
    elem_free(&elem);
}

static void board_fill(struct shard *shard, const char *domain, const struct store_record *records, size_t count)
{
    struct notice_board *board = MEM_NEW(struct notice_board);
    if (!shard->notices) shard->notices = map_new();
    map_set_str(shard->notices, domain, board);
    for (size_t i = 0; i < count; i++)
        read_record(shard, board, &records[i]);
}

/* Somebody who has just come: which of the notices are to be sent.  The user is held until that is known, so that of
 * two resources that come at the same time only one is told. */
struct visit {
    struct shard *shard;
    struct user *user;
    char *resource;
};

static void on_noted(enum store_status status, void *arg)
{
    (void)status; /* the log has it; at worst somebody is told twice */
    struct visit *visit = arg;
    free(visit->resource);
    user_resume(visit->user);
    free(visit);
}

static const struct store_record *record_of(const struct store_record *records, size_t count, enum store_kind kind,
                                            const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (records[i].kind == kind && (!key || strcmp(records[i].key, key) == 0)) return &records[i];
    return NULL;
}

/* Whether the account's record says that it has seen that message of the day. */
static bool has_seen(struct shard *shard, const struct store_record *record, const char *id)
{
    if (!record) return false;
    struct elem *elem = elem_parse(&shard->parser, record->value, strlen(record->value));
    const char *seen = elem ? elem_get(elem, "id") : NULL;
    const bool same = seen && strcmp(seen, id) == 0;
    elem_free(&elem);
    return same;
}

static void tell(struct session *session, const char *type, const char *text)
{
    struct stanza *stanza = message_new(type, session->jid->domain, NULL, text);
    send_to(session, stanza);
    stanza_free(&stanza);
}

static void on_seen_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct visit *visit = arg;
    struct user *user = visit->user;
    struct session *session = session_find(user, visit->resource);
    const struct notice_board *board = board_find(visit->shard, domain_of(user));
    struct store_record changes[2];
    size_t change_count = 0;
    char *seen = NULL, *welcomed = NULL;
    if (status == STORE_OK && session && board && board->welcome &&
        !record_of(records, count, STORE_SETTING, WELCOME) && !record_of(records, count, STORE_LAST, NULL)) {
        tell(session, NULL, board->welcome);
        welcomed = value_new(NULL, NULL);
        changes[change_count++] = (struct store_record){STORE_SETTING, WELCOME, welcomed};
    }
    const struct store_record *record = record_of(records, count, STORE_SETTING, MOTD);
    if (status == STORE_OK && session && board && board->motd && !has_seen(visit->shard, record, board->motd_id)) {
        tell(session, "headline", board->motd);
        seen = value_new(board->motd_id, NULL);
        changes[change_count++] = (struct store_record){STORE_SETTING, MOTD, seen};
    }
    if (change_count > 0) {
        store_records_change(visit->shard->backend->store, visit->shard->mailbox, user->bare, changes, change_count,
                             on_noted, visit);
    } else {
        on_noted(STORE_OK, visit);
    }
    free(seen);
    free(welcomed);
}

static void consider(struct visit *visit)
{
    const struct notice_board *board = board_find(visit->shard, domain_of(visit->user));
    if (!board || (!board->motd && !board->welcome)) {
        on_noted(STORE_OK, visit);
        return;
    }
    store_records_get(visit->shard->backend->store, visit->shard->mailbox, visit->user->bare,
                      1U << STORE_SETTING | 1U << STORE_LAST, NULL, on_seen_read, visit);
}

/* The host's notices are read first, for it is the first of its users on this shard since they have changed. */
static void on_board_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct visit *visit = arg;
    if (status == STORE_OK && !board_find(visit->shard, domain_of(visit->user)))
        board_fill(visit->shard, domain_of(visit->user), records, count);
    consider(visit);
}

/* What a shard reads ahead. */
struct preparation {
    struct shard *shard;
    char *domain;
};

static void on_prepared(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct preparation *preparation = arg;
    if (status == STORE_OK && !board_find(preparation->shard, preparation->domain))
        board_fill(preparation->shard, preparation->domain, records, count);
    free(preparation->domain);
    free(preparation);
}

void notice_prepare(struct shard *shard, const char *domain)
{
    if (board_find(shard, domain)) return;
    struct preparation *preparation = MEM_NEW(struct preparation);
    preparation->shard = shard;
    preparation->domain = mem_strdup(domain);
    store_records_get(shard->backend->store, shard->mailbox, domain, 1U << STORE_SETTING, NULL, on_prepared,
                      preparation);
}

void notice_on_presence(struct user *user, struct session *session, const struct presence_change *change)
{
    struct shard *shard = user->shard;
    if (change->was_available || !session->available || user->temporary) return;
    const struct notice_board *board = board_find(shard, domain_of(user));
    if (board && !board->motd && !board->welcome) return;
    struct visit *visit = MEM_NEW(struct visit);
    visit->shard = shard;
    visit->user = user;
    visit->resource = mem_strdup(session->jid->resource);
    user_hold(user);
    if (board) {
        consider(visit);
    } else {
        store_records_get(shard->backend->store, shard->mailbox, domain_of(user), 1U << STORE_SETTING, NULL,
                          on_board_read, visit);
    }
}

/* A new text: first in the store, then on the boards of all shards. */
struct posting {
    struct backend *backend;
    char *domain, *id, *text; /* text NULL: none */
    const char *key;
    bool anew; /* to be sent to those who are online */
    struct mailbox *back_to;
    store_done_fn *fn;
    void *arg;
    enum store_status status;
};

static void on_posted(void *arg)
{
    struct posting *posting = arg;
    posting->fn(posting->status, posting->arg);
    free(posting->domain);
    free(posting->id);
    free(posting->text);
    free(posting);
}

static void ignore(enum store_status status, void *arg)
{
    (void)status;
    (void)arg;
}

struct motd_round {
    struct shard *shard;
    const struct posting *posting;
};

static bool motd_to(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    const struct motd_round *round = arg;
    const struct posting *posting = round->posting;
    const struct user *user = value;
    struct shard *shard = round->shard;
    if (strcmp(domain_of(user), posting->domain) != 0 || list_empty(&user->sessions)) return true;
    struct stanza *stanza = message_new("headline", posting->domain, NULL, posting->text);
    if (send_to_all(user, stanza) && !user->temporary) {
        char *seen = value_new(posting->id, NULL);
        const struct store_record change = {STORE_SETTING, MOTD, seen};
        store_records_change(shard->backend->store, shard->mailbox, user->bare, &change, 1, ignore, NULL);
        free(seen);
    }
    stanza_free(&stanza);
    return true;
}

/* What the shard knew is read anew when it is needed. */
static void post_here(struct shard *shard, void *arg)
{
    const struct posting *posting = arg;
    struct notice_board *board = shard->notices ? map_del_str(shard->notices, posting->domain) : NULL;
    if (board) free_board(NULL, 0, board, NULL);
    struct motd_round round = {shard, posting};
    if (posting->anew && posting->text) map_each(shard->users, motd_to, &round);
}

static void on_stored(enum store_status status, void *arg)
{
    struct posting *posting = arg;
    posting->status = status;
    if (status == STORE_OK) {
        shard_tour(posting->backend, post_here, posting->back_to, on_posted, posting);
    } else {
        mailbox_post(posting->back_to, on_posted, posting);
    }
}

static struct posting *posting_new(struct backend *backend, const char *domain, const char *key, const char *text,
                                   struct mailbox *back_to)
{
    struct posting *posting = MEM_NEW(struct posting);
    posting->backend = backend;
    posting->domain = mem_strdup(domain);
    posting->key = key;
    posting->text = mem_strdup(text);
    posting->back_to = back_to;
    return posting;
}

static void put_up(struct posting *posting)
{
    char *value = posting->text ? value_new(posting->id, posting->text) : NULL;
    const struct store_record change = {STORE_SETTING, posting->key, value};
    store_records_change(posting->backend->store, posting->backend->shards[0]->mailbox, posting->domain, &change, 1,
                         on_stored, posting);
    free(value);
}

static char *new_id(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return mem_asprintf("%" PRId64 "-%09ld", (int64_t)now.tv_sec, now.tv_nsec);
}

/* A correction keeps the id, if there was a message to correct. */
static void on_old_read(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct posting *posting = arg;
    struct shard *shard = posting->backend->shards[0];
    if (status != STORE_OK) {
        on_stored(status, posting);
        return;
    }
    struct notice_board old = {0};
    for (size_t i = 0; i < count; i++)
        read_record(shard, &old, &records[i]);
    posting->id = old.motd_id ? mem_strdup(old.motd_id) : new_id();
    board_clear(&old);
    put_up(posting);
}

void notice_set_motd(struct backend *backend, const char *domain, const char *text, bool anew, struct mailbox *back_to,
                     store_done_fn *fn, void *arg)
{
    struct posting *posting = posting_new(backend, domain, MOTD, text, back_to);
    posting->fn = fn;
    posting->arg = arg;
    posting->anew = anew;
    if (anew || !text) {
        posting->id = new_id();
        put_up(posting);
    } else {
        store_records_get(backend->store, backend->shards[0]->mailbox, domain, 1U << STORE_SETTING, MOTD, on_old_read,
                          posting);
    }
}

void notice_set_welcome(struct backend *backend, const char *domain, const char *text, struct mailbox *back_to,
                        store_done_fn *fn, void *arg)
{
    struct posting *posting = posting_new(backend, domain, WELCOME, text, back_to);
    posting->fn = fn;
    posting->arg = arg;
    put_up(posting);
}

struct reading {
    enum notice notice;
    notice_read_fn *fn;
    void *arg;
};

static void on_asked(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct reading *reading = arg;
    struct notice_board board = {0};
    for (size_t i = 0; i < count; i++)
        read_record(shard_here(), &board, &records[i]);
    reading->fn(status, reading->notice == NOTICE_MOTD ? board.motd : board.welcome, reading->arg);
    board_clear(&board);
    free(reading);
}

void notice_read(struct backend *backend, const char *domain, enum notice notice, struct mailbox *back_to,
                 notice_read_fn *fn, void *arg)
{
    struct reading *reading = MEM_NEW(struct reading);
    *reading = (struct reading){notice, fn, arg};
    store_records_get(backend->store, back_to, domain, 1U << STORE_SETTING, NULL, on_asked, reading);
}
