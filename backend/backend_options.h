/* backend_options - the table of the backend's options. */
#ifndef POSTERN_BACKEND_BACKEND_OPTIONS_H
#define POSTERN_BACKEND_BACKEND_OPTIONS_H

#include "lib/option.h"

extern const struct option_row BACKEND_OPTIONS[];
extern const size_t BACKEND_OPTION_COUNT;

#endif
