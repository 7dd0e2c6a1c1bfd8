/* gateway_options - the table of the gateway's options. */
#ifndef POSTERN_GATEWAY_GATEWAY_OPTIONS_H
#define POSTERN_GATEWAY_GATEWAY_OPTIONS_H

#include "lib/option.h"

extern const struct option_row GATEWAY_OPTIONS[];
extern const size_t GATEWAY_OPTION_COUNT;

#endif
