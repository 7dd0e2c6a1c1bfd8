/* s2s_failure - why another server cannot be talked to, and what becomes of what waits for it.
 *
 * Source: RFC 6120 sections 8.3.3.16 and 8.3.3.17. */
#ifndef POSTERN_BACKEND_S2S_FAILURE_H
#define POSTERN_BACKEND_S2S_FAILURE_H

#include "backend/stanza_error.h"

#include <stdbool.h>

enum s2s_failure {
#define S2S_FAILURE(id, name, keeps, error, text, advice) S2S_##id,
#include "backend/s2s_failures.def"
#undef S2S_FAILURE
    S2S_FAILURES
};

struct s2s_failure_row {
    const char *name;
    bool keeps;
    enum stanza_error error;
    const char *text, *advice;
};

extern const struct s2s_failure_row S2S_FAILURE_ROWS[S2S_FAILURES];

#endif
