#include "backend/receipt.h"

#include "backend/shard.h"
#include "backend/sm_inbox.h"

#include "lib/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Of all that came of one receipt by splitting. */
struct receipt_share {
    _Atomic unsigned count; /* not settled yet */
};

struct receipt receipt_split(struct receipt *receipt)
{
    if (receipt->session == 0) return (struct receipt){0};
    if (!receipt->share) {
        receipt->share = MEM_NEW(struct receipt_share);
        atomic_init(&receipt->share->count, 1);
    }
    atomic_fetch_add(&receipt->share->count, 1);
    return *receipt;
}

static bool is_last(struct receipt *receipt)
{
    struct receipt_share *share = receipt->share;
    receipt->share = NULL;
    if (!share) return true;
    if (atomic_fetch_sub(&share->count, 1) > 1) return false;
    free(share);
    return true;
}

static void on_settled(void *arg)
{
    struct receipt *receipt = arg;
    sm_inbox_settle(receipt->shard, receipt->session, receipt->number);
    free(receipt);
}

void receipt_settle(struct receipt *receipt)
{
    if (receipt->session == 0) return;
    if (!is_last(receipt)) {
        receipt->session = 0;
        return;
    }
    if (receipt->shard == shard_here()) {
        sm_inbox_settle(receipt->shard, receipt->session, receipt->number);
    } else {
        struct receipt *copy = MEM_NEW(struct receipt);
        *copy = *receipt;
        mailbox_post(receipt->shard->mailbox, on_settled, copy);
    }
    receipt->session = 0;
}
