#include "backend/sm_queue.h"

#include "backend/delay.h"
#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/offline.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm_share.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAGIC = 0x736d656e };

/* Invariant: as long as the store is asked to keep it (storing), it is not freed; acked and orphaned then say what is
 * to be done with the answer. */
struct sm_entry {
    unsigned magic;
    struct list link; /* queue->entries; once orphaned, the list of those that go back to the user */
    struct deadline promise;
    struct receipt receipt;
    struct user *user;
    struct sm_return *orphaned; /* the session has ended; NULL: it has not */
    uint64_t stored_id;         /* 0: not stored */
    int64_t stamp_ms;           /* since 1970 */
    struct sm_share *share;     /* other sessions were sent it, too; NULL: none was */
    struct list share_link;     /* share->entries */
    bool message, ephemeral, storing, acked;
    size_t len;
    char text[];
};

/* What an ended session gives back: a user is held until the store has answered for all of it. */
struct sm_return {
    struct user *user;
    struct list entries;
    unsigned storing;
};

static struct sm_entry *entry_of(struct list *link)
{
    struct sm_entry *entry = LIST_ENTRY(link, struct sm_entry, link);
    CHECK_MAGIC(entry, ENTRY_MAGIC);
    return entry;
}

void sm_queue_init(struct sm_queue *queue, struct session *session)
{
    queue->session = session;
    list_init(&queue->entries);
}

static struct sm_entry *append(struct sm_queue *queue, const void *text, size_t len)
{
    struct sm_entry *entry = mem_alloc(sizeof(*entry) + len + 1);
    entry->magic = ENTRY_MAGIC;
    entry->user = queue->session->user;
    entry->stamp_ms = delay_now();
    entry->len = len;
    memcpy(entry->text, text, len);
    list_append(&queue->entries, &entry->link);
    queue->count++;
    queue->bytes += sizeof(*entry) + len;
    return entry;
}

void sm_queue_add_presence(struct sm_queue *queue, const char *text, size_t len)
{
    (void)append(queue, text, len);
}

void sm_queue_add(struct sm_queue *queue, struct stanza *stanza, const struct buf *text)
{
    struct shard *shard = queue->session->user->shard;
    struct sm_entry *entry = append(queue, buf_data(text), buf_len(text));
    entry->share = stanza->share;
    if (entry->share) list_append(&entry->share->entries, &entry->share_link);
    entry->message = stanza->kind == STANZA_MESSAGE;
    entry->ephemeral = stanza->ephemeral;
    entry->stored_id = stanza->stored_id;
    stanza->stored_id = 0;
    if (offline_is_storable(stanza)) {
        entry->receipt = stanza->receipt;
        stanza->receipt.session = 0;
    }
    /* for a guest nothing is stored: its senders wait */
    if (entry->receipt.session != 0 && !entry->user->temporary) deadline_arm(shard->promise, &entry->promise);
    queue->messages += entry->message;
}

static void entry_free(struct sm_entry *entry)
{
    deadline_disarm(&entry->promise);
    receipt_settle(&entry->receipt);
    list_remove(&entry->link);
    if (entry->share) sm_share_leave(entry->share, &entry->share_link);
    entry->magic = 0;
    free(entry);
}

/* leave_to_other - whether another session's client has the message, or may acknowledge it yet: then that session
 * keeps the promise as well. */
static bool leave_to_other(struct sm_entry *entry)
{
    struct user *user = entry->user;
    if (!entry->share) return false;
    if (entry->share->arrived) {
        if (entry->stored_id != 0) offline_delete(user, &entry->stored_id, 1);
        return true;
    }
    const bool owes = entry->receipt.session != 0 || entry->stored_id != 0;
    LIST_EACH (link, &entry->share->entries) {
        struct sm_entry *other = LIST_ENTRY(link, struct sm_entry, share_link);
        if (other == entry) continue;
        if (!owes) return true;
        if (other->receipt.session != 0 || other->stored_id != 0) continue;
        other->receipt = entry->receipt;
        other->stored_id = entry->stored_id;
        entry->receipt.session = 0;
        if (other->receipt.session != 0 && !other->orphaned && !user->temporary)
            deadline_arm(user->shard->promise, &other->promise);
        return true;
    }
    return false;
}

/* again - the stanza as it came to the session; NULL: another session has it as well, or nobody wants it, or it has no
 * way back: a roster push, and the answer to an address that is none, are not addressed as the router needs it. */
static struct stanza *again(struct sm_entry *entry)
{
    struct user *user = entry->user;
    if (entry->ephemeral || leave_to_other(entry)) return NULL;
    struct elem *elem = elem_parse(&user->shard->parser, entry->text, entry->len);
    struct stanza *stanza = elem ? stanza_read(elem) : NULL;
    if (!stanza) return NULL;
    stanza->receipt = entry->receipt;
    stanza->stored_id = entry->stored_id;
    stanza->returned = true;
    if (entry->message) delay_add(stanza->elem, stanza->to->domain, entry->stamp_ms);
    entry->receipt.session = 0;
    return stanza;
}

/* hand_back - all that the session had goes to the user, who was held for it; the return is over. */
static void hand_back(struct sm_return *back)
{
    struct user *user = back->user;
    struct list stanzas;
    list_init(&stanzas);
    LIST_EACH (link, &back->entries) {
        struct sm_entry *entry = entry_of(link);
        struct stanza *stanza = again(entry);
        if (stanza) list_append(&stanzas, &stanza->link);
        entry_free(entry);
    }
    free(back);
    user_deliver_first(user, &stanzas);
    user_resume(user);
}

static void on_stored(enum store_status status, uint64_t id, void *arg)
{
    struct sm_entry *entry = arg;
    CHECK_MAGIC(entry, ENTRY_MAGIC);
    struct user *user = entry->user;
    struct sm_return *back = entry->orphaned;
    entry->storing = false;
    if (status == STORE_OK) {
        shard_count(user->shard, COUNTER_PROMISES_STORED);
        entry->stored_id = id;
        receipt_settle(&entry->receipt);
    }
    if (entry->acked) {
        if (status == STORE_OK) offline_delete(user, &id, 1);
        entry_free(entry);
    } else if (back) {
        if (--back->storing == 0) hand_back(back);
    } else if (status != STORE_OK) {
        deadline_arm(user->shard->promise, &entry->promise); /* the sender waits on */
    }
    user_unpin(user);
}

void sm_queue_on_promise(struct deadline *deadline, void *shard)
{
    struct sm_entry *entry = CONTAINER_OF(deadline, struct sm_entry, promise);
    CHECK_MAGIC(entry, ENTRY_MAGIC);
    struct user *user = entry->user;
    const struct shard *here = shard;
    entry->storing = true;
    user_pin(user);
    offline_note(user);
    store_queue_add(here->backend->store, here->mailbox, user->bare, STORE_OFFLINE, delay_now(), entry->text,
                    entry->len, NULL, on_stored, entry);
}

/* take_out - the client has it.  ids has room for one more. */
static void take_out(struct sm_queue *queue, struct sm_entry *entry, uint64_t *ids, size_t *id_count)
{
    queue->count--;
    queue->acked++;
    queue->messages -= entry->message;
    queue->bytes -= sizeof(*entry) + entry->len;
    if (entry->stored_id != 0) ids[(*id_count)++] = entry->stored_id;
    if (entry->share) entry->share->arrived = true;
    if (entry->storing) {
        entry->acked = true;
        receipt_settle(&entry->receipt);
        list_remove(&entry->link);
    } else {
        entry_free(entry);
    }
}

bool sm_queue_allows(const struct sm_queue *queue, uint32_t h)
{
    return h - queue->acked <= queue->count;
}

bool sm_queue_ack(struct sm_queue *queue, uint32_t h)
{
    enum { IDS_MAX = 128 };
    uint64_t ids[IDS_MAX];
    size_t id_count = 0;
    if (!sm_queue_allows(queue, h)) return false;
    LIST_EACH (link, &queue->entries) {
        if (queue->acked == h) break;
        take_out(queue, entry_of(link), ids, &id_count);
        if (id_count < IDS_MAX) continue;
        offline_delete(queue->session->user, ids, id_count);
        id_count = 0;
    }
    if (id_count > 0) offline_delete(queue->session->user, ids, id_count);
    return true;
}

void sm_queue_print(const struct sm_queue *queue, struct buf *out)
{
    LIST_EACH (link, &queue->entries)
        buf_append(out, entry_of(link)->text, entry_of(link)->len);
}

bool sm_queue_has(const struct sm_queue *queue, uint64_t stored_id)
{
    LIST_EACH (link, &queue->entries)
        if (entry_of(link)->stored_id == stored_id) return true;
    return false;
}

void sm_queue_end(struct sm_queue *queue, struct user *user)
{
    if (list_empty(&queue->entries)) return;
    struct sm_return *back = MEM_NEW(struct sm_return);
    back->user = user;
    list_init(&back->entries);
    user_hold(user);
    LIST_EACH (link, &queue->entries) {
        struct sm_entry *entry = entry_of(link);
        deadline_disarm(&entry->promise);
        list_remove(link);
        list_append(&back->entries, link);
        entry->orphaned = back;
        back->storing += entry->storing;
    }
    queue->count = queue->messages = 0;
    queue->bytes = 0;
    if (back->storing == 0) hand_back(back);
}
