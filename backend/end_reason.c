#include "backend/end_reason.h"

#include <string.h>

const struct counter_row BACKEND_COUNTER_ROWS[BACKEND_COUNTERS] = {
#define COUNTER(id, name, help) {name, help},
#define END(id, name, help)     {"end_" name, help},
#include "backend/counters.def"
#undef COUNTER
#undef END
};

const char *end_reason_name(enum end_reason reason)
{
    return BACKEND_COUNTER_ROWS[reason].name + strlen("end_");
}
