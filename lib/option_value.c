#include "lib/option_value.h"

#include "lib/mem.h"
#include "lib/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct option_unit {
    const char *name;
    int64_t factor;
};

/* Largest first: bounds are written in the largest unit that divides them. */
static const struct option_unit TIME_UNITS[] = {
    {"d", INT64_C(86400000)}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct option_unit SIZE_UNITS[] = {
    {"g", INT64_C(1) << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}, {NULL, 0},
};
static const struct option_unit NO_UNITS[] = {{"", 1}, {NULL, 0}};

bool option_value_is_list(const struct option_row *row)
{
    return row->type == OPTION_STRING_LIST || row->type == OPTION_ENDPOINT_LIST || row->type == OPTION_PATH_LIST;
}

static const struct option_unit *units_of(const struct option_row *row)
{
    if (row->type == OPTION_DURATION) return TIME_UNITS;
    return row->type == OPTION_SIZE ? SIZE_UNITS : NO_UNITS;
}

/* A decimal number and its unit; false when it is neither or does not fit. */
static bool read_number(const char *text, const struct option_unit *units, int64_t *out)
{
    bool minus = *text == '-';
    const char *p = text + minus;
    int64_t n = 0;
    if (*p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n)) return false;
    for (; units->name; units++)
        if (strcasecmp(p, units->name) == 0) break;
    if (units->name == NULL || __builtin_mul_overflow(n, units->factor, &n)) return false;
    *out = minus ? -n : n;
    return true;
}

static void format_bound(int64_t n, const struct option_unit *units, char *out, size_t cap)
{
    while (units[1].name && (n == 0 || n % units->factor != 0))
        units++;
    snprintf(out, cap, "%" PRId64 "%s", n / units->factor, units->name);
}

void option_value_range(const struct option_row *row, char *out, size_t cap)
{
    char min[32], max[32];
    *out = '\0';
    if (row->min == 0 && row->max == 0) return;
    format_bound(row->min, units_of(row), min, sizeof min);
    format_bound(row->max, units_of(row), max, sizeof max);
    snprintf(out, cap, "from %s to %s", min, max);
}

static int add_number(struct option_value *v, const char *text, char *why, size_t cap)
{
    static const char *const what[] = {
        [OPTION_INT] = "a number",
        [OPTION_DURATION] = "a time with its unit (ms, s, m, h, d)",
        [OPTION_SIZE] = "a size in bytes (or with k, m, g)",
    };
    char range[80];
    if (read_number(text, units_of(v->row), &v->number) &&
        ((v->row->min == 0 && v->row->max == 0) || (v->number >= v->row->min && v->number <= v->row->max)))
        return 0;
    option_value_range(v->row, range, sizeof range);
    snprintf(why, cap, "expected %s%s%s, got \"%s\"", what[v->row->type], *range ? " " : "", range, text);
    return -1;
}

static int add_bool(struct option_value *v, const char *text, char *why, size_t cap)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) != 0) continue;
        v->number = (int64_t)(i & 1);
        return 0;
    }
    snprintf(why, cap, "expected true or false, got \"%s\"", text);
    return -1;
}

bool option_choice(const char *choices, size_t i, char *out, size_t cap)
{
    for (; i > 0; i--) {
        choices = strchr(choices, '|');
        if (choices == NULL) return false;
        choices++;
    }
    snprintf(out, cap, "%.*s", (int)strcspn(choices, "|"), choices);
    return true;
}

static int add_enum(struct option_value *v, const char *text, char *why, size_t cap)
{
    char choice[64], list[256] = "";
    size_t used = 0;
    for (size_t i = 0; option_choice(v->row->choices, i, choice, sizeof choice); i++) {
        if (strcmp(choice, text) == 0) {
            v->number = (int64_t)i;
            return 0;
        }
        int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", choice);
        CHECK(n > 0 && (size_t)n < sizeof list - used);
        used += (size_t)n;
    }
    snprintf(why, cap, "expected one of %s; got \"%s\"", list, text);
    return -1;
}

static int add_endpoint(struct option_value *v, const char *text, char *why, size_t cap)
{
    struct endpoint e;
    const char *expected;
    if (endpoint_parse(text, &e, &expected) < 0) {
        snprintf(why, cap, "expected %s, got \"%s\"", expected, text);
        return -1;
    }
    v->endpoints = mem_realloc(v->endpoints, (v->count + 1) * sizeof *v->endpoints);
    v->endpoints[v->count] = e;
    return 0;
}

static int add_path(const char *text, char *why, size_t cap)
{
    if (*text) return 0;
    snprintf(why, cap, "expected a file name, got \"\"");
    return -1;
}

static int add_checked(struct option_value *v, const char *text, char *why, size_t cap)
{
    switch (v->row->type) {
    case OPTION_BOOL:
        return add_bool(v, text, why, cap);
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return add_number(v, text, why, cap);
    case OPTION_ENUM:
        return add_enum(v, text, why, cap);
    case OPTION_ENDPOINT:
    case OPTION_ENDPOINT_LIST:
        return add_endpoint(v, text, why, cap);
    case OPTION_PATH:
    case OPTION_PATH_LIST:
        return add_path(text, why, cap);
    case OPTION_STRING:
    case OPTION_STRING_LIST:
        return 0;
    case OPTION_SECTION:
        break;
    }
    CHECK(!"a section has no value");
    return -1;
}

char *option_resolve(const char *folder, const char *name)
{
    return *name == '/' ? mem_strdup(name) : mem_asprintf("%s%s", folder, name);
}

int option_value_add(struct option_value *v, const char *text, const char *folder, char *why, size_t cap)
{
    /* Names and paths are told in JSON and to Prometheus. */
    if (!utf8_is_text(text)) {
        snprintf(why, cap, "expected UTF-8");
        return -1;
    }
    if (add_checked(v, text, why, cap) < 0) return -1;
    v->texts = mem_realloc(v->texts, (v->count + 1) * sizeof *v->texts);
    bool is_path = v->row->type == OPTION_PATH || v->row->type == OPTION_PATH_LIST;
    v->texts[v->count++] = is_path ? option_resolve(folder, text) : mem_strdup(text);
    return 0;
}

void option_value_clear(struct option_value *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->texts[i]);
    free(v->texts);
    free(v->endpoints);
    v->texts = NULL;
    v->endpoints = NULL;
    v->count = 0;
    v->number = 0;
}
