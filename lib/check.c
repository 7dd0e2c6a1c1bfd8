#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *func, const char *cond)
{
    fprintf(stderr, "event=bug at=%s:%d in=%s failed=\"%s\"\n", file, line, func, cond);
    abort();
}
