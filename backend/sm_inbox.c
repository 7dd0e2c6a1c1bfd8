#include "backend/sm_inbox.h"

#include "backend/shard.h"
#include "backend/stanza.h"

#include <stdlib.h>

enum { SETTLED_MIN = 16 };

void sm_inbox_open(struct sm_inbox *inbox, struct shard *shard, sm_inbox_fn *on_settled)
{
    inbox->shard = shard;
    inbox->on_settled = on_settled;
    inbox->serial = ++shard->last_serial;
    map_set(shard->managed, &inbox->serial, sizeof(inbox->serial), inbox);
}

static void forget_settled(struct sm_inbox *inbox)
{
    free(inbox->settled);
    inbox->settled = NULL;
    inbox->settled_cap = 0;
}

void sm_inbox_close(struct sm_inbox *inbox)
{
    if (inbox->serial == 0) return;
    map_del(inbox->shard->managed, &inbox->serial, sizeof(inbox->serial));
    inbox->serial = 0;
    forget_settled(inbox);
}

static uint8_t *settled_at(const struct sm_inbox *inbox, uint32_t number)
{
    return &inbox->settled[number & (inbox->settled_cap - 1)];
}

/* make_room - for the number behind received; those between handled and it keep their places. */
static void make_room(struct sm_inbox *inbox)
{
    if (inbox->received - inbox->handled < inbox->settled_cap) return;
    const uint32_t cap = inbox->settled_cap ? inbox->settled_cap * 2 : SETTLED_MIN;
    uint8_t *wider = mem_alloc(cap);
    for (uint32_t n = inbox->handled + 1; n != inbox->received + 1; n++)
        wider[n & (cap - 1)] = *settled_at(inbox, n);
    free(inbox->settled);
    inbox->settled = wider;
    inbox->settled_cap = cap;
}

void sm_inbox_receive(struct sm_inbox *inbox, struct stanza *stanza)
{
    make_room(inbox);
    inbox->received++;
    *settled_at(inbox, inbox->received) = 0;
    stanza->receipt = (struct receipt){.shard = inbox->shard, .session = inbox->serial, .number = inbox->received};
}

void sm_inbox_settle(struct shard *shard, uint64_t serial, uint32_t number)
{
    struct sm_inbox *inbox = map_get(shard->managed, &serial, sizeof(serial));
    if (!inbox || number - inbox->handled - 1 >= inbox->received - inbox->handled) return;
    *settled_at(inbox, number) = 1;
    while (inbox->handled != inbox->received && *settled_at(inbox, inbox->handled + 1))
        inbox->handled++;
    if (!sm_inbox_is_settled(inbox)) return;
    if (inbox->settled_cap > SETTLED_MIN) forget_settled(inbox);
    inbox->on_settled(inbox);
}
