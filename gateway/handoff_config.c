#include "gateway/handoff_config.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static int read_inlets(struct handoff_config *config, const struct option_section *section, char *error, size_t cap)
{
    const size_t max = sizeof(config->inlets->un.sun_path) - 1;
    size_t count = option_count(section, "inlet");
    if (count == 0)
        return option_error(section, "inlet", error, cap, "expected the path of the backend's inlet socket");
    if (count > BALANCE_SERVERS_MAX)
        return option_error(section, "inlet", error, cap, "expected at most %d paths, not %zu", BALANCE_SERVERS_MAX,
                            count);
    config->inlets = mem_alloc(count * sizeof(*config->inlets));
    for (size_t i = 0; i < count; i++) {
        const char *path = option_item(section, "inlet", i);
        if (strlen(path) > max)
            return option_error(section, "inlet", error, cap, "expected a path of at most %zu bytes, not %s", max,
                                path);
        for (size_t other = 0; other < i; other++)
            if (strcmp(config->inlets[other].un.sun_path, path) == 0)
                return option_error(section, "inlet", error, cap, "expected each path once, but %s is given twice",
                                    path);
        struct endpoint *inlet = &config->inlets[config->inlet_count++];
        inlet->un.sun_family = AF_UNIX;
        memcpy(inlet->un.sun_path, path, strlen(path) + 1);
        inlet->len = (socklen_t)sizeof(inlet->un);
    }
    return 0;
}

int handoff_config_read(struct handoff_config *config, const struct option_file *file,
                        const struct option_section *section, char *error, size_t cap)
{
    /* In the order of the option's choices. */
    static const enum balance balances[] = {BALANCE_FIRST, BALANCE_ROUND_ROBIN, BALANCE_SOURCE_HASH};
    *config = (struct handoff_config){
        .name = option_title(section),
        .balance = balances[option_enum(section, "balance")],
        .handoff_timeout_ms = option_int(section, "handoff-timeout"),
        .fallback = option_str(section, "fallback"),
    };
    if (config->fallback != NULL && option_find(file, "upstream", config->fallback) == NULL)
        return option_error(section, "fallback", error, cap, "expected the title of a section \"upstream\", not \"%s\"",
                            config->fallback);
    return read_inlets(config, section, error, cap);
}

void handoff_config_clear(struct handoff_config *config)
{
    free(config->inlets);
    config->inlets = NULL;
    config->inlet_count = 0;
}
