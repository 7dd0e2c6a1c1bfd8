#include "backend/roster_change.h"

#include "backend/shard.h"

#include <stdlib.h>
#include <time.h>

enum { RECORDS = 3 };

struct change {
    struct user *user;
    struct roster_item *item;
    uint64_t version; /* 0: what clients see does not change */
    roster_change_fn *fn;
    void *arg;
};

/* See struct roster. */
static uint64_t next_version(const struct user *user)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    const struct roster *roster = roster_of(user);
    const uint64_t now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
    const uint64_t last = roster ? roster->version : 0;
    return now > last ? now : last + 1;
}

static void on_stored(enum store_status status, void *arg)
{
    struct change *c = arg;
    struct user *user = c->user;
    if (status != STORE_OK) {
        free(c->item);
    } else if (c->item->flags != 0) {
        roster_put(user, c->item);
    } else {
        roster_drop(user, roster_jid(c->item), c->version);
        free(c->item);
    }
    c->fn(user, status, c->arg);
    free(c);
    user_resume(user);
}

static const char *text_of(struct buf *buf)
{
    buf_append(buf, "", 1);
    return (const char *)buf_data(buf);
}

static void store_item(struct change *c, uint8_t old, const char *request)
{
    const struct roster_item *item = c->item;
    const bool stays = item->flags != 0;
    struct store_record records[RECORDS];
    struct buf value = {0}, removed = {0};
    size_t count = 0;
    if (stays) roster_item_print(item, &value);
    records[count++] = (struct store_record){STORE_ROSTER, roster_jid(item), stays ? text_of(&value) : NULL};
    if (request || (old & ~item->flags & ROSTER_PENDING_IN))
        records[count++] = (struct store_record){STORE_REQUEST, roster_jid(item), request};
    if (old & ~item->flags & ROSTER_LISTED) {
        buf_printf(&removed, "<" ROSTER_REMOVED_ELEMENT " " ROSTER_REMOVED_ATTRIBUTE "='%llu'/>",
                   (unsigned long long)c->version);
        records[count++] = (struct store_record){STORE_ROSTER, ROSTER_REMOVED_KEY, text_of(&removed)};
    }
    store_records_change(c->user->shard->backend->store, c->user->shard->mailbox, c->user->bare, records, count,
                         on_stored, c);
    buf_free(&value);
    buf_free(&removed);
}

void roster_change(struct user *user, struct roster_item *item, const char *request, roster_change_fn *fn, void *arg)
{
    struct change *c = MEM_NEW(struct change);
    const uint8_t old = roster_flags(user, roster_jid(item));
    *c = (struct change){.user = user, .item = item, .fn = fn, .arg = arg};
    if ((old | item->flags) & ROSTER_LISTED) c->version = next_version(user);
    item->version = c->version & ROSTER_VERSION_MAX;
    user_hold(user);
    store_item(c, old, request);
}
