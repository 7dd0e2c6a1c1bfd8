#include "backend/shard_tour.h"

#include "backend/shard.h"

#include <stdlib.h>

struct tour {
    struct backend *backend;
    unsigned next;
    shard_tour_fn *visit;
    struct mailbox *back_to;
    mailbox_fn *done;
    void *arg;
};

static void on_turn(void *arg)
{
    struct tour *tour = arg;
    struct backend *backend = tour->backend;
    tour->visit(backend->shards[tour->next++], tour->arg);
    if (tour->next < backend->shard_count) {
        mailbox_post(backend->shards[tour->next]->mailbox, on_turn, tour);
        return;
    }
    mailbox_post(tour->back_to, tour->done, tour->arg);
    free(tour);
}

void shard_tour(struct backend *backend, shard_tour_fn *visit, struct mailbox *back_to, mailbox_fn *done, void *arg)
{
    struct tour *tour = MEM_NEW(struct tour);
    *tour = (struct tour){.backend = backend, .next = 0, .visit = visit, .back_to = back_to, .done = done, .arg = arg};
    mailbox_post(backend->shards[0]->mailbox, on_turn, tour);
}
