#include "backend/s2s_failure.h"

const struct s2s_failure_row S2S_FAILURE_ROWS[S2S_FAILURES] = {
#define S2S_FAILURE(id, name, keeps, error, text, advice) {name, keeps, STANZA_ERROR_##error, text, advice},
#include "backend/s2s_failures.def"
#undef S2S_FAILURE
};
