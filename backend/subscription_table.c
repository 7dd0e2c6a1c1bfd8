#include "backend/subscription_table.h"

#include "backend/roster_item.h"
#include "lib/check.h"

/* The nine states of appendix A.1. */
enum { NONE, NONE_OUT, NONE_IN, NONE_OUT_IN, TO, TO_IN, FROM, FROM_OUT, BOTH, STATES };

/* The flags of a state. */
static const uint8_t STATE_FLAGS[STATES] = {
    [NONE] = 0,
    [NONE_OUT] = ROSTER_PENDING_OUT,
    [NONE_IN] = ROSTER_PENDING_IN,
    [NONE_OUT_IN] = ROSTER_PENDING_OUT | ROSTER_PENDING_IN,
    [TO] = ROSTER_TO,
    [TO_IN] = ROSTER_TO | ROSTER_PENDING_IN,
    [FROM] = ROSTER_FROM,
    [FROM_OUT] = ROSTER_FROM | ROSTER_PENDING_OUT,
    [BOTH] = ROSTER_TO | ROSTER_FROM,
};

enum {
    STATE_BITS = ROSTER_TO | ROSTER_FROM | ROSTER_PENDING_OUT | ROSTER_PENDING_IN,
    PASS = SUBSCRIPTION_PASS,
    AUTO = SUBSCRIPTION_AUTO,
    LIST = 4,      /* the contact is in the roster from now on */
    APPROVE = 8,   /* the approval is noted for a request that may come */
    UNAPPROVE = 16 /* an approval that was noted is no more */
};

enum event {
    OUT_SUBSCRIBE,    /* A.2.1 */
    OUT_UNSUBSCRIBE,  /* A.2.2 */
    OUT_SUBSCRIBED,   /* A.2.3 */
    OUT_UNSUBSCRIBED, /* A.2.4 */
    IN_SUBSCRIBE,     /* A.3.1 */
    IN_UNSUBSCRIBE,   /* A.3.2 */
    IN_SUBSCRIBED,    /* A.3.3 */
    IN_UNSUBSCRIBED,  /* A.3.4 */
    IN_APPROVED,      /* A.3.1 again, where the user has approved the request before it came */
    EVENTS
};

struct cell {
    uint8_t next;
    uint8_t does;
};

/* One line for each line of the source's tables. */
/* clang-format off */
static const struct cell TABLE[EVENTS][STATES] = {
    [OUT_SUBSCRIBE] = {
        [NONE]        = {NONE_OUT,    PASS | LIST},
        [NONE_OUT]    = {NONE_OUT,    PASS},
        [NONE_IN]     = {NONE_OUT_IN, PASS | LIST},
        [NONE_OUT_IN] = {NONE_OUT_IN, PASS},
        [TO]          = {TO,          PASS},
        [TO_IN]       = {TO_IN,       PASS},
        [FROM]        = {FROM_OUT,    PASS},
        [FROM_OUT]    = {FROM_OUT,    PASS},
        [BOTH]        = {BOTH,        PASS},
    },
    [OUT_UNSUBSCRIBE] = {
        [NONE]        = {NONE,        PASS},
        [NONE_OUT]    = {NONE,        PASS},
        [NONE_IN]     = {NONE_IN,     PASS},
        [NONE_OUT_IN] = {NONE_IN,     PASS},
        [TO]          = {NONE,        PASS},
        [TO_IN]       = {NONE_IN,     PASS},
        [FROM]        = {FROM,        PASS},
        [FROM_OUT]    = {FROM,        PASS},
        [BOTH]        = {FROM,        PASS},
    },
    [OUT_SUBSCRIBED] = {
        [NONE]        = {NONE,        APPROVE | LIST},
        [NONE_OUT]    = {NONE_OUT,    APPROVE},
        [NONE_IN]     = {FROM,        PASS | LIST},
        [NONE_OUT_IN] = {FROM_OUT,    PASS},
        [TO]          = {TO,          APPROVE},
        [TO_IN]       = {BOTH,        PASS},
        [FROM]        = {FROM,        0},
        [FROM_OUT]    = {FROM_OUT,    0},
        [BOTH]        = {BOTH,        0},
    },
    [OUT_UNSUBSCRIBED] = {
        [NONE]        = {NONE,        UNAPPROVE},
        [NONE_OUT]    = {NONE_OUT,    UNAPPROVE},
        [NONE_IN]     = {NONE,        PASS | UNAPPROVE},
        [NONE_OUT_IN] = {NONE_OUT,    PASS | UNAPPROVE},
        [TO]          = {TO,          UNAPPROVE},
        [TO_IN]       = {TO,          PASS | UNAPPROVE},
        [FROM]        = {NONE,        PASS | UNAPPROVE},
        [FROM_OUT]    = {NONE_OUT,    PASS | UNAPPROVE},
        [BOTH]        = {TO,          PASS | UNAPPROVE},
    },
    [IN_SUBSCRIBE] = {
        [NONE]        = {NONE_IN,     PASS},
        [NONE_OUT]    = {NONE_OUT_IN, PASS},
        [NONE_IN]     = {NONE_IN,     0},
        [NONE_OUT_IN] = {NONE_OUT_IN, 0},
        [TO]          = {TO_IN,       PASS},
        [TO_IN]       = {TO_IN,       0},
        [FROM]        = {FROM,        AUTO},
        [FROM_OUT]    = {FROM_OUT,    AUTO},
        [BOTH]        = {BOTH,        AUTO},
    },
    [IN_UNSUBSCRIBE] = {
        [NONE]        = {NONE,        0},
        [NONE_OUT]    = {NONE_OUT,    0},
        [NONE_IN]     = {NONE,        PASS},
        [NONE_OUT_IN] = {NONE_OUT,    PASS},
        [TO]          = {TO,          0},
        [TO_IN]       = {TO,          PASS},
        [FROM]        = {NONE,        PASS},
        [FROM_OUT]    = {NONE_OUT,    PASS},
        [BOTH]        = {TO,          PASS},
    },
    [IN_SUBSCRIBED] = {
        [NONE]        = {NONE,        0},
        [NONE_OUT]    = {TO,          PASS},
        [NONE_IN]     = {NONE_IN,     0},
        [NONE_OUT_IN] = {TO_IN,       PASS},
        [TO]          = {TO,          0},
        [TO_IN]       = {TO_IN,       0},
        [FROM]        = {FROM,        0},
        [FROM_OUT]    = {BOTH,        PASS},
        [BOTH]        = {BOTH,        0},
    },
    [IN_UNSUBSCRIBED] = {
        [NONE]        = {NONE,        0},
        [NONE_OUT]    = {NONE,        PASS},
        [NONE_IN]     = {NONE_IN,     0},
        [NONE_OUT_IN] = {NONE_IN,     PASS},
        [TO]          = {NONE,        PASS},
        [TO_IN]       = {NONE_IN,     PASS},
        [FROM]        = {FROM,        0},
        [FROM_OUT]    = {FROM,        PASS},
        [BOTH]        = {FROM,        PASS},
    },
    [IN_APPROVED] = {
        [NONE]        = {FROM,        AUTO | UNAPPROVE},
        [NONE_OUT]    = {FROM_OUT,    AUTO | UNAPPROVE},
        [NONE_IN]     = {FROM,        AUTO | UNAPPROVE},
        [NONE_OUT_IN] = {FROM_OUT,    AUTO | UNAPPROVE},
        [TO]          = {BOTH,        AUTO | UNAPPROVE},
        [TO_IN]       = {BOTH,        AUTO | UNAPPROVE},
        [FROM]        = {FROM,        AUTO | UNAPPROVE},
        [FROM_OUT]    = {FROM_OUT,    AUTO | UNAPPROVE},
        [BOTH]        = {BOTH,        AUTO | UNAPPROVE},
    },
};
/* clang-format on */

/* Flags that are none of the nine, as only a record that somebody else has written can have, count as the state with
 * the most granted. */
static unsigned state_of(uint8_t flags)
{
    uint8_t bits = flags & STATE_BITS;
    if (bits & ROSTER_TO) bits &= (uint8_t)~ROSTER_PENDING_OUT;
    if (bits & ROSTER_FROM) bits &= (uint8_t)~ROSTER_PENDING_IN;
    unsigned state = NONE;
    while (STATE_FLAGS[state] != bits)
        state++;
    return state;
}

static enum event event_of(uint8_t flags, enum subscription_way way, enum stanza_type type)
{
    const bool in = way == SUBSCRIPTION_INBOUND;
    switch (type) {
    case STANZA_SUBSCRIBE:
        if (in && (flags & ROSTER_APPROVED)) return IN_APPROVED;
        return in ? IN_SUBSCRIBE : OUT_SUBSCRIBE;
    case STANZA_UNSUBSCRIBE:
        return in ? IN_UNSUBSCRIBE : OUT_UNSUBSCRIBE;
    case STANZA_SUBSCRIBED:
        return in ? IN_SUBSCRIBED : OUT_SUBSCRIBED;
    default:
        CHECK(type == STANZA_UNSUBSCRIBED);
        return in ? IN_UNSUBSCRIBED : OUT_UNSUBSCRIBED;
    }
}

struct subscription_step subscription_step_of(uint8_t flags, enum subscription_way way, enum stanza_type type)
{
    const struct cell *cell = &TABLE[event_of(flags, way, type)][state_of(flags)];
    uint8_t next = STATE_FLAGS[cell->next] | (flags & (ROSTER_LISTED | ROSTER_APPROVED));
    if (cell->does & LIST) next |= ROSTER_LISTED;
    if (cell->does & APPROVE) next |= ROSTER_APPROVED;
    if (cell->does & UNAPPROVE) next &= (uint8_t)~ROSTER_APPROVED;
    return (struct subscription_step){next, cell->does & (SUBSCRIPTION_PASS | SUBSCRIPTION_AUTO)};
}
