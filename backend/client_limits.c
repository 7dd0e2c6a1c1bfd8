#include "backend/client_limits.h"

#include "lib/option.h"

void client_limits_read(struct client_limits *limits, const struct option_section *top,
                        const struct option_section *host)
{
#define LIMIT(option) option_int(option_is_set(host, option) ? host : top, option)
    limits->stanza_bytes = (size_t)LIMIT("stanza-size");
    limits->output_bytes = (size_t)LIMIT("output-limit");
    limits->stanza_rate = LIMIT("stanza-rate");
    limits->byte_rate = LIMIT("byte-rate");
    limits->sessions = (unsigned)LIMIT("sessions-per-user");
#undef LIMIT
}
