/* sm_share - a message that went to several sessions of a user: it has arrived when one of their clients has it. */
#ifndef POSTERN_BACKEND_SM_SHARE_H
#define POSTERN_BACKEND_SM_SHARE_H

#include "lib/list.h"

#include <stdbool.h>

/* Lives as long as it is open (more sessions may get the message) or has entries. */
struct sm_share {
    struct list entries; /* of sm_queue, not acknowledged yet; struct sm_entry, share_link */
    bool open;
    bool arrived; /* some client has acknowledged it, or can acknowledge nothing */
};

struct sm_share *sm_share_new(void);

/* sm_share_close - all sessions have been sent the message.  Takes *share, which may be NULL. */
void sm_share_close(struct sm_share **share);

/* sm_share_leave - link (of an entry) is no longer one of them; share may be gone then. */
void sm_share_leave(struct sm_share *share, struct list *link);

#endif
