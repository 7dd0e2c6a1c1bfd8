#include "gateway/route.h"

#include "gateway/route_cover.h"
#include "gateway/route_walk.h"
#include "gateway/rule_read.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t count_sections(const struct option_file *file)
{
    size_t count = 0;
    for (const struct option_section *s = option_next(file, "route", NULL); s != NULL;
         s = option_next(file, "route", s))
        count++;
    return count;
}

static bool is_target(const struct route *route, const char *title)
{
    return route->target != NULL && strcmp(route->target, title) == 0;
}

/* Whether a row sends connections into the tls section, or (inside) takes what it has decrypted. */
static bool has_row(const struct route_table *table, const char *tls, bool inside)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct rule *rule = &table->rules[i];
        if (inside && rule_is_inside(rule, tls)) return true;
        if (!inside && rule->route.action == ROUTE_TERMINATE && is_target(&rule->route, tls)) return true;
    }
    return false;
}

/* What is decrypted must have a way on, and rows for what nobody decrypts are a mistake. */
static int check_terminated(const struct route_table *table, const struct option_file *file, char *error, size_t cap)
{
    const struct option_section *s = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct rule *rule = &table->rules[i];
        s = option_next(file, "route", s);
        const char *tls = rule->route.action == ROUTE_TERMINATE ? rule->route.target : NULL;
        if (tls != NULL && !has_row(table, tls, true))
            return option_error(s, "terminate", error, cap,
                                "expected a route with inside = \"%s\" for what is decrypted", tls);
        for (size_t n = 0; n < rule->inside.count; n++) {
            if (has_row(table, rule->inside.items[n], false)) continue;
            return option_error(s, "inside", error, cap, "expected a route with terminate = \"%s\"",
                                rule->inside.items[n]);
        }
    }
    return 0;
}

static int read_row(struct route_table *table, struct route_cover *cover, const struct option_file *file,
                    const struct option_section *s, char *error, size_t cap)
{
    struct rule *rule = &table->rules[table->count];
    size_t index = table->count++;
    if (rule_read(rule, file, s, table->patterns, error, cap) < 0) return -1;
    rule->route.index = index;
    const struct rule *earlier = route_cover_find(cover, index);
    if (earlier != NULL)
        return option_error(s, NULL, error, cap,
                            "expected a route that can be reached, but route \"%s\" in line %d takes all of its "
                            "connections",
                            earlier->route.name, earlier->route.line);
    route_walk_add(table, index);
    route_cover_add(cover, index);
    return 0;
}

static int fill(struct route_table *table, const struct option_file *file, size_t rows, char *error, size_t cap)
{
    struct route_cover *cover = route_cover_new(table, rows);
    int result = 0;
    for (const struct option_section *s = option_next(file, "route", NULL); s != NULL && result == 0;
         s = option_next(file, "route", s))
        result = read_row(table, cover, file, s, error, cap);
    route_cover_free(&cover);
    if (result < 0) return -1;
    regex_set_code(pattern_regexes(table->patterns));
    return check_terminated(table, file, error, cap);
}

struct route_table *route_table_new(const struct option_file *file, char *error, size_t cap)
{
    struct route_table *table = MEM_NEW(struct route_table);
    table->patterns = pattern_set_new(file, error, cap);
    size_t count = count_sections(file);
    route_walk_init(table, count);
    if (count > 0) table->rules = mem_alloc(count * sizeof(*table->rules));
    if (table->patterns == NULL || fill(table, file, count, error, cap) < 0) route_table_free(&table);
    return table;
}

void route_table_free(struct route_table **table)
{
    if (*table == NULL) return;
    for (size_t i = 0; i < (*table)->count; i++)
        rule_clear(&(*table)->rules[i]);
    route_walk_clear(*table);
    pattern_set_free(&(*table)->patterns);
    free((*table)->rules);
    free(*table);
    *table = NULL;
}

size_t route_count(const struct route_table *table)
{
    return table->count;
}

struct pattern_set *route_patterns(const struct route_table *table)
{
    return table->patterns;
}

struct route *route_at(struct route_table *table, size_t index)
{
    CHECK(index < table->count);
    return &table->rules[index].route;
}

enum route_verdict route_trace(struct route_table *table, struct sight *sight, const struct route_query *query,
                               struct route **out, route_trace_fn *trace, void *trace_arg)
{
    if (sight->len == 0 && !sight->final) return ROUTE_MORE;

    struct look look = {
        .sight = sight, .query = query, .patterns = table->patterns, .trace = trace, .trace_arg = trace_arg};
    for (size_t i = 0; i < table->count; i++) {
        enum probe_verdict verdict = rule_holds(&table->rules[i], &look);
        if (verdict == PROBE_MORE) return ROUTE_MORE;
        if (verdict == PROBE_NO) continue;
        *out = &table->rules[i].route;
        return ROUTE_FOUND;
    }
    return ROUTE_NONE;
}

enum route_verdict route_find(struct route_table *table, struct sight *sight, const struct route_query *query,
                              struct route **out)
{
    if (sight->len == 0 && !sight->final) return ROUTE_MORE;

    struct look look = {.sight = sight, .query = query, .patterns = table->patterns};
    size_t row = 0;
    enum probe_verdict verdict = route_walk(table, &look, &row);
    if (verdict == PROBE_MATCH) *out = &table->rules[row].route;
    if (verdict == PROBE_NO) return ROUTE_NONE;
    return verdict == PROBE_MORE ? ROUTE_MORE : ROUTE_FOUND;
}
