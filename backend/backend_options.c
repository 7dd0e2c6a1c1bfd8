#include "backend/backend_options.h"

const struct option_row BACKEND_OPTIONS[] = {
#define OPTION(section, name, type, preset, min, max, choices, help)                                                   \
    {section, name, type, preset, min, max, choices, help},
#include "backend/options.def"
#undef OPTION
};
const size_t BACKEND_OPTION_COUNT = ARRAY_LEN(BACKEND_OPTIONS);
