#include "gateway/close_reason.h"

const struct counter_row CLOSE_REASON_ROWS[CLOSE_REASON_ROW_COUNT] = {
#define COUNTER(id, name, help) {name, help},
#define CLOSE(id, name, help)
#include "gateway/counters.def"
#undef COUNTER
#undef CLOSE
#define COUNTER(id, name, help)
#define CLOSE(id, name, help) {"close_" name, help},
#include "gateway/counters.def"
#undef COUNTER
#undef CLOSE
};

const char *close_reason_name(enum close_reason reason)
{
    CHECK((size_t)reason < CLOSE_REASON_COUNT);
    return CLOSE_REASON_ROWS[close_reason_row(reason)].name + sizeof("close_") - 1;
}
