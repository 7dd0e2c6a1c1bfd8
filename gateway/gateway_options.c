#include "gateway/gateway_options.h"

const struct option_row GATEWAY_OPTIONS[] = {
#define OPTION(section, name, type, preset, min, max, choices, help)                                                   \
    {section, name, type, preset, min, max, choices, help},
#include "gateway/options.def"
#undef OPTION
};
const size_t GATEWAY_OPTION_COUNT = ARRAY_LEN(GATEWAY_OPTIONS);
