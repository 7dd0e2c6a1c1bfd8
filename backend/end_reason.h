/* end_reason - the backend's counters, the reasons for which a stream ends among them. */
#ifndef POSTERN_BACKEND_END_REASON_H
#define POSTERN_BACKEND_END_REASON_H

#include "lib/counter.h"

#include <stddef.h>

/* COUNTER_…: a row of the counters' table; every reason is one, too. */
enum backend_counter {
#define COUNTER(id, name, help) COUNTER_##id,
#define END(id, name, help)     COUNTER_END_##id,
#include "backend/counters.def"
#undef COUNTER
#undef END
    BACKEND_COUNTERS
};

/* END_…: a reason; its value is its counter's. */
enum end_reason {
#define COUNTER(id, name, help)
#define END(id, name, help) END_##id = COUNTER_END_##id,
#include "backend/counters.def"
#undef COUNTER
#undef END
};

extern const struct counter_row BACKEND_COUNTER_ROWS[BACKEND_COUNTERS];

/* end_reason_name - as in the log, such as "client_eof". */
const char *end_reason_name(enum end_reason reason);

#endif
