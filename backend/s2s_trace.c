#include "backend/s2s_trace.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_BYTES = 512 };

void s2s_trace(const struct s2s_trace *trace, int ok, const char *step, const char *format, ...)
{
    if (!trace->fn) return;
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    trace->fn(trace->arg, ok, step, text);
}
