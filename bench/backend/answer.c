#include "bench/backend/answer.h"

#include "bench/backend/scram.h"
#include "bench/backend/session.h"
#include "bench/backend/wire.h"
#include "bench/common/generator.h"

#include <math.h>
#include <stdio.h>

static int64_t start_ns, start_cpu_ns, wall_ns, used_ns;
static struct wire_calls start_calls, made_calls;
static uint64_t start_derived;
static bool opened;

void answer_begin(void)
{
    opened = false;
    start_ns = now_ns();
    start_cpu_ns = cpu_ns();
    start_calls = wire_calls();
    start_derived = scram_derived();
}

void answer_stop(void)
{
    wall_ns = now_ns() - start_ns;
    used_ns = cpu_ns() - start_cpu_ns;
    made_calls = wire_calls();
}

/* Nothing is printed before all is known to be right. */
static void open_answer(void)
{
    if (opened) return;
    opened = true;
    printf("{\"ok\": true, \"wall_ns\": %lld, \"cpu_ns\": %lld, \"busy\": %.3f, \"reads\": %llu, \"writes\": %llu, "
           "\"derived\": %llu, \"sessions\": %u",
           (long long)wall_ns, (long long)used_ns, wall_ns > 0 ? (double)used_ns / (double)wall_ns : 0,
           (unsigned long long)(made_calls.reads - start_calls.reads),
           (unsigned long long)(made_calls.writes - start_calls.writes),
           (unsigned long long)(scram_derived() - start_derived), session_ready());
}

void answer_number(const char *name, double value)
{
    open_answer();
    printf(value == floor(value) ? ", \"%s\": %.0f" : ", \"%s\": %.3f", name, value);
}

void answer_histogram(const char *name, const struct histogram *histogram)
{
    open_answer();
    printf(", \"%s\": ", name);
    histogram_print(histogram, stdout);
}

void answer_end(void)
{
    open_answer();
    puts("}");
    fflush(stdout);
}

void answer_failure(const char *why)
{
    fputs("{\"ok\": false, \"why\": \"", stdout);
    for (; *why != '\0'; why++) {
        unsigned char c = (unsigned char)*why;
        if (c == '"' || c == '\\') putchar('\\');
        if (c < ' ' || c >= 0x7f)
            printf("\\u%04x", c); /* bytes, not characters: enough to see what it was */
        else
            putchar(c);
    }
    puts("\"}");
    fflush(stdout);
}
