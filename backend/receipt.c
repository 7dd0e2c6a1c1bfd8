#include "backend/receipt.h"

#include "backend/shard.h"
#include "backend/sm_inbox.h"

#include <stdlib.h>

static void on_settled(void *arg)
{
    struct receipt *receipt = arg;
    sm_inbox_settle(receipt->shard, receipt->session, receipt->number);
    free(receipt);
}

void receipt_settle(struct receipt *receipt)
{
    if (receipt->session == 0) return;
    if (receipt->shard == shard_here()) {
        sm_inbox_settle(receipt->shard, receipt->session, receipt->number);
    } else {
        struct receipt *copy = MEM_NEW(struct receipt);
        *copy = *receipt;
        mailbox_post(receipt->shard->mailbox, on_settled, copy);
    }
    receipt->session = 0;
}
