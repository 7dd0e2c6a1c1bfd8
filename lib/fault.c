#include "lib/fault.h"

#ifdef POSTERN_FAULTS

#include "lib/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const NAMES[FAULT_POINTS] = {
#define FAULT_POINT(id, name, help) [FAULT_##id] = (name),
#include "lib/fault_points.def"
#undef FAULT_POINT
};

/* first 0: not chosen. */
static struct {
    atomic_uint passed;
    unsigned first, last;
} points[FAULT_POINTS];

static pthread_once_t once = PTHREAD_ONCE_INIT;

static int find(const char *name, size_t len)
{
    for (int i = 0; i < FAULT_POINTS; i++)
        if (strlen(NAMES[i]) == len && memcmp(NAMES[i], name, len) == 0) return i;
    return -1;
}

/* A name that nobody has would test nothing without telling. */
static void choose(const char *text)
{
    const size_t name_len = strcspn(text, ":,");
    const int point = find(text, name_len);
    char *end = NULL;
    const unsigned long first = text[name_len] == ':' ? strtoul(text + name_len + 1, &end, 10) : 1;
    const bool for_ever = end && *end == '+';

    if (point < 0 || first == 0 || first > UINT32_MAX) {
        fprintf(stderr, "POSTERN_FAULT: what is \"%s\"?\n", text);
        abort();
    }
    points[point].first = (unsigned)first;
    points[point].last = for_ever ? UINT32_MAX : (unsigned)first;
}

static void read_environment(void)
{
    const char *text = getenv("POSTERN_FAULT");

    while (text && *text) {
        choose(text);
        text += strcspn(text, ",");
        text += *text == ',';
    }
}

bool fault_hits(enum fault fault)
{
    CHECK(pthread_once(&once, read_environment) == 0);
    if (points[fault].first == 0) return false;
    const unsigned passed = atomic_fetch_add(&points[fault].passed, 1) + 1;
    return passed >= points[fault].first && passed <= points[fault].last;
}

_Noreturn void fault_kill(enum fault fault)
{
    dprintf(STDERR_FILENO, "event=fault point=%s passed=%u\n", NAMES[fault], atomic_load(&points[fault].passed));
    for (;;)
        (void)raise(SIGKILL);
}

void fault_point(enum fault fault)
{
    if (fault_hits(fault)) fault_kill(fault);
}

#endif
