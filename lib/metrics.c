#include "lib/metrics.h"

#include "lib/mem.h"
#include "lib/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 160 };

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

static void put_escaped(struct buf *out, const char *text, const char *escaped)
{
    size_t left = strlen(text);
    for (const char *p = text; left > 0;) {
        size_t n = utf8_len((const unsigned char *)p, left);
        if (*p == '\n')
            buf_append_str(out, "\\n");
        else if (n == 0)
            buf_append_str(out, REPLACEMENT);
        else {
            if (strchr(escaped, *p) != NULL) buf_append_str(out, "\\");
            buf_append(out, p, n);
        }
        p += n > 0 ? n : 1;
        left -= n > 0 ? n : 1;
    }
}

void metrics_family(struct buf *out, const char *name, enum metrics_type type, const char *help)
{
    buf_printf(out, "# HELP %s ", name);
    put_escaped(out, help, "\\");
    buf_printf(out, "\n# TYPE %s %s\n", name, type == METRICS_COUNTER ? "counter" : "gauge");
}

void metrics_sample(struct buf *out, const char *name, const struct metrics_label *labels, size_t label_count,
                    int64_t value)
{
    buf_append_str(out, name);
    for (size_t i = 0; i < label_count; i++) {
        buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
        put_escaped(out, labels[i].value, "\\\"");
        buf_append_str(out, "\"");
    }
    buf_printf(out, "%s %" PRId64 "\n", label_count > 0 ? "}" : "", value);
}

/* The samples that are to be printed, gathered by row: counters_each goes by label. */
struct found {
    const char *label;
    uint64_t value;
    size_t next; /* the next of the same row, or NONE */
};

#define NONE SIZE_MAX

struct gathering {
    const struct counter_row *rows; /* the first one that came */
    struct found *found;
    size_t count, room;
    size_t *first, *last; /* by row */
    size_t row_count;
};

static void gather(const char *label, const struct counter_row *row, uint64_t value, void *arg)
{
    struct gathering *g = arg;
    if (value == 0 && label[0] != '\0') return;
    size_t index = (size_t)(row - g->rows), new = g->count++;
    if (new == g->room) {
        g->room = g->room > 0 ? 2 * g->room : 256;
        g->found = mem_realloc(g->found, g->room * sizeof(*g->found));
    }
    g->found[new] = (struct found){.label = label, .value = value, .next = NONE};
    if (g->first[index] == NONE)
        g->first[index] = new;
    else
        g->found[g->last[index]].next = new;
    g->last[index] = new;
}

static void put_row(struct buf *out, const struct gathering *g, size_t row, const char *prefix, const char *by)
{
    char name[NAME_BYTES];
    const struct counter_row *counter = &g->rows[row];
    const char *before = by; /* the family that was begun: "" or by */
    bool begun = false;
    for (size_t i = g->first[row]; i != NONE; i = g->found[i].next) {
        const struct found *found = &g->found[i];
        const struct metrics_label label = {by, found->label};
        bool whole = found->label[0] == '\0';
        const char *family = whole ? "" : by;
        snprintf(name, sizeof(name), "%s_%s%s%s_total", prefix, family, whole ? "" : "_", counter->name);
        if (!begun || strcmp(before, family) != 0) metrics_family(out, name, METRICS_COUNTER, counter->help);
        begun = true;
        before = family;
        metrics_sample(out, name, &label, whole ? 0 : 1, (int64_t)found->value);
    }
}

void metrics_counters(struct buf *out, const struct counters *counters, const char *prefix, const char *by)
{
    struct gathering g = {.rows = counters_rows(counters, &g.row_count)};
    g.first = mem_alloc(g.row_count * sizeof(*g.first));
    g.last = mem_alloc(g.row_count * sizeof(*g.last));
    memset(g.first, 0xff, g.row_count * sizeof(*g.first));
    counters_each(counters, gather, &g);
    for (size_t row = 0; row < g.row_count; row++)
        put_row(out, &g, row, prefix, by);
    free(g.first);
    free(g.last);
    free(g.found);
}
