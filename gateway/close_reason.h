/* close_reason - the reasons for which a connection ends, with the gateway's counters, from counters.def.
 *
 * A reason is a row, and the row is also a counter: the plain counters come first, then one for each reason. */
#ifndef POSTERN_GATEWAY_CLOSE_REASON_H
#define POSTERN_GATEWAY_CLOSE_REASON_H

#include "lib/counter.h"

#include <stddef.h>

/* The plain counters, as row numbers. */
enum gateway_counter {
#define COUNTER(id, name, help) COUNTER_##id,
#define CLOSE(id, name, help)
#include "gateway/counters.def"
#undef COUNTER
#undef CLOSE
    COUNTER_PLAIN_COUNT
};

enum close_reason {
#define COUNTER(id, name, help)
#define CLOSE(id, name, help) CLOSE_##id,
#include "gateway/counters.def"
#undef COUNTER
#undef CLOSE
    CLOSE_REASON_COUNT
};

enum { CLOSE_REASON_ROW_COUNT = (int)COUNTER_PLAIN_COUNT + (int)CLOSE_REASON_COUNT };

/* Every counter of the gateway: a plain one at its own number, a reason's at close_reason_row. */
extern const struct counter_row CLOSE_REASON_ROWS[CLOSE_REASON_ROW_COUNT];

/* close_reason_row - the number of the counter that counts connections ended for this reason. */
static inline size_t close_reason_row(enum close_reason reason)
{
    return (size_t)COUNTER_PLAIN_COUNT + (size_t)reason;
}

/* close_reason_name - the name as it stands in the log line, "peek_timeout". */
const char *close_reason_name(enum close_reason reason);

#endif
