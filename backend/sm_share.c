#include "backend/sm_share.h"

#include "lib/mem.h"

#include <stdlib.h>

struct sm_share *sm_share_new(void)
{
    struct sm_share *share = MEM_NEW(struct sm_share);
    list_init(&share->entries);
    share->open = true;
    return share;
}

static void free_if_over(struct sm_share *share)
{
    if (!share->open && list_empty(&share->entries)) free(share);
}

void sm_share_close(struct sm_share **place)
{
    struct sm_share *share = *place;
    if (!share) return;
    *place = NULL;
    share->open = false;
    free_if_over(share);
}

void sm_share_leave(struct sm_share *share, struct list *link)
{
    list_remove(link);
    free_if_over(share);
}
