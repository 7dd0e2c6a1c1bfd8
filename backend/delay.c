#include "backend/delay.h"

#include "backend/ns.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *delay_stamp(int64_t ms, char out[DELAY_STAMP_BYTES])
{
    /* what is asked for in a row is often of the same second */
    static _Thread_local time_t known;
    static _Thread_local char text[DELAY_STAMP_BYTES];
    const time_t seconds = (time_t)(ms / 1000);
    if (seconds != known || text[0] == '\0') {
        struct tm tm = {0};
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        known = seconds;
    }
    memcpy(out, text, sizeof(text));
    return out;
}

const char *delay_stamp_exact(int64_t ms, char out[DELAY_STAMP_BYTES])
{
    char *end = out + strlen(delay_stamp(ms, out)) - 1;
    snprintf(end, DELAY_STAMP_BYTES - (size_t)(end - out), ".%03dZ", (int)(ms % 1000));
    return out;
}

static bool is_from(const struct elem *child, const void *from)
{
    const char *by = elem_is(child, NS_DELAY, "delay") ? elem_get(child, "from") : NULL;
    return by && strcmp(by, from) == 0;
}

static bool has(const struct elem *stanza, const char *from)
{
    const struct elem *child = elem_child(stanza, NS_DELAY, "delay");
    while (child && !is_from(child, from))
        child = elem_next_element(child);
    return child != NULL;
}

void delay_add(struct elem *stanza, const char *from, int64_t ms)
{
    char stamp[DELAY_STAMP_BYTES];
    if (has(stanza, from)) return;
    struct elem *delay = elem_add(stanza, NS_DELAY, "delay");
    elem_set(delay, "from", from);
    elem_set(delay, "stamp", delay_stamp(ms, stamp));
}

void delay_strip(struct elem *stanza, const char *from)
{
    (void)elem_remove_all(stanza, is_from, from);
}

/* What follows the seconds: a fraction, of which thousandths count, and a zone. */
static bool read_rest(const char *text, int64_t *ms)
{
    struct tm zone = {0};
    if (*text == '.') {
        int64_t unit = 100;
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
            *ms += unit * (*text - '0');
    }
    if (*text == '\0' || strcmp(text, "Z") == 0) return true;
    const char *end = *text == '+' || *text == '-' ? strptime(text + 1, "%H:%M", &zone) : NULL;
    if (!end || *end != '\0') return false;
    const int64_t offset = ((int64_t)zone.tm_hour * 60 + zone.tm_min) * 60 * 1000;
    *ms += *text == '+' ? -offset : offset;
    return true;
}

bool delay_read(const char *stamp, int64_t *ms)
{
    struct tm tm = {0};
    const char *rest = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest) {
        tm = (struct tm){0};
        rest = strptime(stamp, "%Y%m%dT%H:%M:%S", &tm);
    }
    if (!rest) return false;
    *ms = (int64_t)timegm(&tm) * 1000;
    return read_rest(rest, ms);
}

int64_t delay_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
