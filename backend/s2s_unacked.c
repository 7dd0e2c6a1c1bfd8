#include "backend/s2s_unacked.h"

#include "backend/delay.h"
#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/remote.h"
#include "backend/remote_refusal.h"
#include "backend/remote_route.h"
#include "backend/s2s_sm.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAGIC = 0x73327365 };

/* Invariant: as long as the store is asked to keep it (storing), it is not freed; acked, and unacked being NULL, then
 * say what is to be done with the answer. */
struct s2s_entry {
    unsigned magic;
    struct list link;            /* unacked->entries */
    struct s2s_unacked *unacked; /* NULL: its stream is over */
    struct remote_route *route;
    struct receipt receipt;
    uint64_t stored_id; /* 0: not stored */
    size_t row_bytes;   /* likewise */
    int64_t stamp_ms;   /* since 1970 */
    int64_t sent_ms;    /* of loop_now_ms */
    bool kept;          /* is to survive */
    bool storing, acked;
    size_t len;
    char text[];
};

static struct s2s_entry *entry_of(struct list *link)
{
    struct s2s_entry *entry = LIST_ENTRY(link, struct s2s_entry, link);
    CHECK_MAGIC(entry, ENTRY_MAGIC);
    return entry;
}

static struct shard *shard_of_entry(const struct s2s_entry *entry)
{
    return entry->route->remote->shard;
}

void s2s_unacked_init(struct s2s_unacked *unacked, struct s2s_stream *stream)
{
    unacked->stream = stream;
    unacked->by_ping = true;
    list_init(&unacked->entries);
}

static void forget_ping(struct s2s_unacked *unacked)
{
    free(unacked->ping);
    unacked->ping = NULL;
    deadline_disarm(&unacked->pong);
}

uint32_t s2s_unacked_manage(struct s2s_unacked *unacked)
{
    unacked->by_ping = false;
    deadline_disarm(&unacked->ping_later);
    return unacked->sent;
}

static struct s2s_entry *entry_new(struct stanza *stanza, const struct buf *text)
{
    struct s2s_entry *entry = mem_alloc(sizeof(*entry) + buf_len(text) + 1);
    entry->magic = ENTRY_MAGIC;
    entry->kept = remote_queue_keeps(stanza);
    entry->stored_id = stanza->stored_id;
    entry->stamp_ms = delay_now();
    stanza->stored_id = 0;
    entry->len = buf_len(text);
    memcpy(entry->text, buf_data(text), entry->len);
    if (entry->kept) {
        entry->receipt = stanza->receipt;
        stanza->receipt.session = 0;
    }
    return entry;
}

void s2s_unacked_add(struct s2s_unacked *unacked, struct remote_route *route, struct stanza *stanza,
                     const struct buf *text, size_t row_bytes)
{
    struct remotes *remotes = route->remote->shard->remotes;
    if (unacked->by_ping && !remote_queue_keeps(stanza)) return;
    struct s2s_entry *entry = entry_new(stanza, text);
    entry->unacked = unacked;
    entry->route = route;
    entry->row_bytes = row_bytes;
    entry->sent_ms = loop_now_ms(route->remote->shard->loop);
    route->entries++;
    list_append(&unacked->entries, &entry->link);
    unacked->sent++;
    unacked->messages += entry->kept;
    unacked->bytes += sizeof(*entry) + entry->len;
    if (entry->kept && entry->stored_id == 0 && !list_linked(&unacked->promise.link))
        deadline_arm(remotes->promise, &unacked->promise);
    if (unacked->by_ping && !unacked->ping && !list_linked(&unacked->ping_later.link))
        deadline_arm(remotes->ping, &unacked->ping_later);
    if (!unacked->by_ping) s2s_sm_sent(unacked->stream);
    if (unacked->sent - unacked->acked > S2S_UNACKED_MAX || unacked->bytes > S2S_UNACKED_MAX_BYTES)
        s2s_stream_abort(unacked->stream, END_UNACKED);
}

bool s2s_unacked_has_room(const struct s2s_unacked *unacked)
{
    return unacked->messages < S2S_WINDOW && unacked->bytes < S2S_WINDOW_BYTES;
}

bool s2s_unacked_is_behind(const struct s2s_unacked *unacked)
{
    return unacked->messages >= S2S_WINDOW / 2 || unacked->bytes >= S2S_WINDOW_BYTES / 2;
}

static void entry_free(struct s2s_entry *entry)
{
    struct remote_route *route = entry->route;
    receipt_settle(&entry->receipt);
    list_remove(&entry->link);
    entry->magic = 0;
    free(entry);
    CHECK(route->entries > 0);
    route->entries--;
}

static struct stanza *read_again(const struct s2s_entry *entry)
{
    struct elem *elem = elem_parse(&shard_of_entry(entry)->parser, entry->text, entry->len);
    return elem ? stanza_read(elem) : NULL;
}

/* Nobody else has it, and it cannot be kept: its sender is told, before its receipt is settled. */
static void answer(struct s2s_entry *entry, enum store_status status)
{
    struct stanza *stanza = read_again(entry);
    if (stanza) stanza_error_bounce(shard_of_entry(entry), stanza, stanza_error_of_store(status));
}

static void on_stored(enum store_status status, uint64_t id, void *arg)
{
    struct s2s_entry *entry = arg;
    CHECK_MAGIC(entry, ENTRY_MAGIC);
    struct remote_route *route = entry->route;
    struct s2s_unacked *unacked = entry->unacked;
    entry->storing = false;
    route->queue.calls--;
    if (status == STORE_OK) {
        shard_count(shard_of_entry(entry), COUNTER_PROMISES_STORED);
        entry->stored_id = id;
        entry->row_bytes = entry->len;
        receipt_settle(&entry->receipt);
    } else {
        remote_queue_left(route, 1, entry->len);
    }
    const bool on_way =
        entry->acked ? route->stream != NULL : unacked && unacked->stream && unacked->stream == route->stream;
    if (status == STORE_OK && on_way && id > route->queue.cursor) route->queue.cursor = id;
    if (entry->acked || !unacked) {
        if (status == STORE_OK && entry->acked) remote_queue_delete(route, &id, 1, entry->len);
        if (status != STORE_OK && !entry->acked) answer(entry, status);
        entry_free(entry);
    } else if (status != STORE_OK) {
        deadline_arm(shard_of_entry(entry)->remotes->promise, &unacked->promise); /* the sender waits on */
    }
    remote_route_changed(route);
}

static void store(struct s2s_entry *entry)
{
    const struct shard *shard = shard_of_entry(entry);
    char *owner = remote_queue_owner(entry->route);
    entry->storing = true;
    remote_queue_enter(entry->route, entry->len, entry->stamp_ms);
    entry->route->queue.calls++;
    store_queue_add(shard->backend->store, shard->mailbox, owner, STORE_REMOTE, entry->stamp_ms, entry->text,
                    entry->len, NULL, on_stored, entry);
    free(owner);
}

static bool is_unsafe(const struct s2s_entry *entry)
{
    return entry->kept && entry->stored_id == 0 && !entry->storing;
}

void s2s_unacked_store(struct s2s_unacked *unacked)
{
    deadline_disarm(&unacked->promise);
    LIST_EACH (link, &unacked->entries)
        if (is_unsafe(entry_of(link))) store(entry_of(link));
}

/* It comes twice in S2S_PROMISE_MS, so what has waited for half of that has not waited for longer. */
void s2s_unacked_on_promise(struct deadline *deadline, void *shard)
{
    struct s2s_unacked *unacked = CONTAINER_OF(deadline, struct s2s_unacked, promise);
    const struct shard *here = shard;
    const int64_t before_ms = loop_now_ms(here->loop) - S2S_PROMISE_MS / 2;
    LIST_EACH (link, &unacked->entries) {
        struct s2s_entry *entry = entry_of(link);
        if (!is_unsafe(entry)) continue;
        if (entry->sent_ms > before_ms) {
            deadline_arm(here->remotes->promise, deadline);
            return;
        }
        store(entry);
    }
}

/* Rows of one route that are confirmed together. */
struct confirmed {
    struct remote_route *route;
    uint64_t ids[REMOTE_QUEUE_SLICE * 4];
    size_t count, bytes;
};

static void flush(struct confirmed *rows)
{
    if (rows->count > 0) remote_queue_delete(rows->route, rows->ids, rows->count, rows->bytes);
    rows->count = rows->bytes = 0;
}

static void take_out(struct s2s_unacked *unacked, struct s2s_entry *entry, struct confirmed *rows)
{
    unacked->acked++;
    unacked->messages -= entry->kept;
    unacked->bytes -= sizeof(*entry) + entry->len;
    if (entry->stored_id != 0) {
        if (rows->count > 0 && (rows->route != entry->route || rows->count == ARRAY_LEN(rows->ids))) flush(rows);
        rows->route = entry->route;
        rows->ids[rows->count++] = entry->stored_id;
        rows->bytes += entry->row_bytes;
    }
    if (entry->storing) {
        entry->acked = true;
        receipt_settle(&entry->receipt);
        list_remove(&entry->link);
    } else {
        entry_free(entry);
    }
}

bool s2s_unacked_ack(struct s2s_unacked *unacked, uint32_t h)
{
    struct confirmed rows = {0};
    if (h - unacked->acked > unacked->sent - unacked->acked) return false;
    LIST_EACH (link, &unacked->entries) {
        if (unacked->acked == h) break;
        take_out(unacked, entry_of(link), &rows);
    }
    flush(&rows);
    if (unacked->stream && unacked->stream->remote) remote_link_drained(unacked->stream->remote, unacked->stream);
    return true;
}

/* In the name of whoever sent last: its domain is proved on the stream. */
static void send_ping(struct s2s_unacked *unacked)
{
    const struct s2s_entry *last = entry_of(unacked->entries.prev);
    const struct shard *shard = shard_of_entry(last);
    uint64_t number;
    struct buf out = {0};
    CHECK(RAND_bytes((uint8_t *)&number, sizeof(number)) == 1);
    unacked->ping = mem_asprintf("ping-%016" PRIx64, number);
    unacked->ping_after = unacked->sent;
    struct elem *iq = elem_new(arena_new(), NS_CLIENT, "iq");
    elem_set(iq, "type", "get");
    elem_set(iq, "id", unacked->ping);
    elem_set(iq, "from", last->route->local);
    elem_set(iq, "to", last->route->remote->domain);
    elem_add(iq, NS_PING, "ping");
    elem_print(iq, NS_CLIENT, &out);
    elem_free(&iq);
    deadline_arm(shard->remotes->pong, &unacked->pong);
    s2s_stream_write(unacked->stream, &out);
}

void s2s_unacked_ask(struct s2s_unacked *unacked)
{
    deadline_disarm(&unacked->ping_later);
    if (unacked->stream && unacked->by_ping && !unacked->ping && !list_empty(&unacked->entries)) send_ping(unacked);
}

void s2s_unacked_on_ping(struct deadline *deadline, void *shard)
{
    (void)shard;
    s2s_unacked_ask(CONTAINER_OF(deadline, struct s2s_unacked, ping_later));
}

void s2s_unacked_on_no_pong(struct deadline *deadline, void *shard)
{
    (void)shard;
    struct s2s_unacked *unacked = CONTAINER_OF(deadline, struct s2s_unacked, pong);
    if (unacked->stream) s2s_stream_abort(unacked->stream, END_PING_TIMEOUT);
}

bool s2s_unacked_pong(struct s2s_unacked *unacked, const char *id)
{
    if (!unacked->ping || strcmp(unacked->ping, id) != 0) return false;
    forget_ping(unacked);
    const bool right = s2s_unacked_ack(unacked, unacked->ping_after);
    CHECK(right);
    if (unacked->acked != unacked->sent && unacked->stream)
        deadline_arm(unacked->stream->remote->shard->remotes->ping, &unacked->ping_later);
    return true;
}

void s2s_unacked_print(const struct s2s_unacked *unacked, struct buf *out)
{
    LIST_EACH (link, &unacked->entries)
        buf_append(out, entry_of(link)->text, entry_of(link)->len);
}

/* Nothing of it waits for a time any more. */
static void rest(struct s2s_unacked *unacked)
{
    forget_ping(unacked);
    deadline_disarm(&unacked->promise);
    deadline_disarm(&unacked->ping_later);
}

void s2s_unacked_move(struct s2s_unacked *to, struct s2s_unacked *from)
{
    CHECK(list_empty(&to->entries));
    rest(from);
    LIST_EACH (link, &from->entries) {
        entry_of(link)->unacked = to;
        list_remove(link);
        list_append(&to->entries, link);
    }
    to->sent = from->sent;
    to->acked = from->acked;
    to->messages = from->messages;
    to->bytes = from->bytes;
    to->by_ping = from->by_ping;
    from->messages = 0;
    from->bytes = 0;
    from->acked = from->sent;
    s2s_unacked_store(to);
}

uint64_t s2s_unacked_last(const struct s2s_unacked *unacked, const struct remote_route *route)
{
    uint64_t last = 0;
    LIST_EACH (link, &unacked->entries) {
        const struct s2s_entry *entry = entry_of(link);
        if (entry->route == route && entry->stored_id > last) last = entry->stored_id;
    }
    return last;
}

/* What will not be kept: presence is sent anew when the domain is back. */
static void give_up(struct s2s_entry *entry)
{
    struct stanza *stanza = read_again(entry);
    if (stanza && stanza->kind != STANZA_PRESENCE) {
        remote_refusal_answer(entry->route, stanza, S2S_BROKEN);
        return;
    }
    entry->route->presence_owed = true;
    stanza_free(&stanza);
}

void s2s_unacked_end(struct s2s_unacked *unacked)
{
    rest(unacked);
    s2s_unacked_store(unacked);
    LIST_EACH (link, &unacked->entries) {
        struct s2s_entry *entry = entry_of(link);
        struct remote_route *route = entry->route;
        if (entry->storing) {
            list_remove(link);
            entry->unacked = NULL;
            continue;
        }
        if (!entry->kept) give_up(entry);
        entry_free(entry);
        remote_route_changed(route);
    }
    unacked->acked = unacked->sent;
    unacked->messages = 0;
    unacked->bytes = 0;
}
