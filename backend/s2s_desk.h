/* s2s_desk - the streams between servers of one shard, and their times. */
#ifndef POSTERN_BACKEND_S2S_DESK_H
#define POSTERN_BACKEND_S2S_DESK_H

#include "lib/list.h"
#include "lib/loop.h"

struct s2s_sm_desk;
struct shard;

struct s2s_desk {
    struct shard *shard;
    struct list all;              /* struct s2s_stream, all */
    struct deadline_queue *hurry; /* streams on which nothing is proved yet: auth-timeout */
    struct deadline_queue *pause; /* those that are ahead of whom they send to, for a moment */
    struct deadline_queue *rest;  /* those that are faster than they may be, for longer */
    struct deadline_queue *asked; /* struct dialback: questions without an answer */
    struct s2s_sm_desk *sm;
    struct deadline_queue *pairs; /* struct s2s_pair: likewise, on streams that are open */
};

struct s2s_desk *s2s_desk_new(struct shard *shard);
void s2s_desk_free(struct s2s_desk **desk);

/* s2s_desk_follow - the hosts have changed: streams whose domains are gone or not allowed any more end.
 * s2s_desk_stop - tell all that the server stops.  s2s_desk_abort - end all at once. */
void s2s_desk_follow(struct s2s_desk *desk);
void s2s_desk_stop(struct s2s_desk *desk);
void s2s_desk_abort(struct s2s_desk *desk);

#endif
