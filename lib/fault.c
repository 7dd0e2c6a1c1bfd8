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

/* chosen 0: never. */
static struct {
    atomic_uint passed;
    unsigned chosen;
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
    const char *number = text[name_len] == ':' ? text + name_len + 1 : "1";
    const unsigned long passing = strtoul(number, &end, 10);

    if (point < 0 || passing == 0 || passing > UINT32_MAX || (*end != '\0' && *end != ',')) {
        fprintf(stderr, "POSTERN_FAULT: what is \"%s\"?\n", text);
        abort();
    }
    points[point].chosen = (unsigned)passing;
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
    return points[fault].chosen && atomic_fetch_add(&points[fault].passed, 1) + 1 == points[fault].chosen;
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
