/* life - what the mixed day knows of each client, so that whatever is sent is awaited, and nothing else accepted.
 *
 * Each writes numbered letters, and its presences have numbers, too.  A client that is to log in again is spared new
 * ones (life_awaits), and leaves when all that is under way to it has come. */
#ifndef POSTERN_BENCH_BACKEND_LIFE_H
#define POSTERN_BENCH_BACKEND_LIFE_H

#include "bench/backend/letter.h"
#include "bench/backend/ring.h"

enum { LIFE_QUERIES = 3 };

/* What is known of one contact. */
struct life_contact {
    uint32_t letter;         /* the last number that came */
    uint32_t presence;       /* likewise */
    uint32_t presence_since; /* all numbers behind it have to come, one by one */
    uint32_t presence_due;   /* the last one that has to come */
};

struct life {
    bool away;                      /* not to be written to: it leaves, is gone, or has not come back wholly */
    bool leaving;                   /* as soon as nothing is under way to it */
    uint32_t under_way;             /* letters, contacts whose presence is to come, and answers */
    uint32_t presence;              /* the number of its own last one */
    int64_t back_ns;                /* since when it is available */
    int64_t asked_ns[LIFE_QUERIES]; /* 0: not asked */
    struct life_contact contacts[];
};

/* life_begin - for all sessions, who must be available.  What is known of them lasts until the run ends. */
void life_begin(const struct ring *ring);

struct life *life_of(const struct session *session);

/* life_awaits - whether the client is here to stay for now: it may be written to, and has to hear of presences. */
bool life_awaits(const struct session *session);

/* life_back - the client is available again: what its contacts say from now on it has to hear. */
void life_back(struct session *session, int64_t at_ns);

/* life_letter - write a letter from one to another. */
void life_letter(struct session *from, const struct session *to, int64_t due_ns);

/* life_presence - say something new to all contacts. */
void life_presence(struct session *session, int64_t due_ns);

/* life_on_letter, life_on_presence - verify what came.  The first returns when it was due; so does the second, or 0 if
 * it tells nothing new. */
int64_t life_on_letter(struct session *session, const struct arrival *arrival);
int64_t life_on_presence(struct session *session, const struct arrival *arrival);

/* life_totals - letters and presences of the run, as sent and as arrived; presences count once for each who has to
 * hear. */
struct life_totals {
    uint64_t letters_sent, letters_come, presences_sent, presences_come;
};
const struct life_totals *life_totals(void);

#endif
