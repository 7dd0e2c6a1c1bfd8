#include "gateway/limits_config.h"

#include <stdlib.h>
#include <string.h>

enum { RATE_MAX_DIGITS = 6 };

/* "20/s", "100/m", "1000/h".  Returns the time for one in us, or 0. */
static uint64_t parse_interval(const char *text)
{
    static const struct {
        const char *unit;
        uint64_t us;
    } UNITS[] = {{"/s", 1000000}, {"/m", 60000000}, {"/h", 3600000000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > RATE_MAX_DIGITS) return 0;
    uint64_t count = strtoul(text, NULL, 10);
    for (size_t i = 0; i < ARRAY_LEN(UNITS); i++)
        if (count > 0 && strcmp(text + digits, UNITS[i].unit) == 0) return UNITS[i].us / count;
    return 0;
}

static int read_rate(struct source_rate *rate, const struct option_section *top, char *error, size_t cap)
{
    static const char NAME[] = "connection-rate-per-source";
    /* Time is counted in steps of 4 us; so many of them keep a rate exact to a few percent. */
    static const uint64_t SHORTEST_US = 100;
    const char *text = option_str(top, NAME);
    if (text == NULL) return 0;
    rate->interval_us = parse_interval(text);
    if (rate->interval_us < SHORTEST_US)
        return option_error(top, NAME, error, cap,
                            "expected connections for each second, minute or hour, such as \"20/s\", \"100/m\" or "
                            "\"1000/h\", at most \"10000/s\"; not \"%s\"",
                            text);
    rate->burst = (uint64_t)option_int(top, "connection-burst-per-source");
    if (rate->burst > SOURCE_RATE_MAX_US / rate->interval_us)
        return option_error(top, "connection-burst-per-source", error, cap,
                            "expected a burst that %s %s brings back within seven days", NAME, text);
    return 0;
}

int limits_config_read(struct limits_config *config, const struct option_file *file, char *error, size_t cap)
{
    const struct option_section *top = option_top(file);
    config->connections_per_source = (size_t)option_int(top, "max-connections-per-source");
    config->probing_per_source = (size_t)option_int(top, "max-probing-per-source");
    config->probing = (size_t)option_int(top, "max-probing");
    config->probing_memory_bytes = (size_t)option_int(top, "probing-memory");
    if (cidr_set_read(&config->unlimited, top, "unlimited-sources", error, cap) < 0) return -1;
    return read_rate(&config->rate_per_source, top, error, cap);
}

void limits_config_clear(struct limits_config *config)
{
    cidr_set_clear(&config->unlimited);
}
