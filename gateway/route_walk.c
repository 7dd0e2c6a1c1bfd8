#include "gateway/route_walk.h"

#include "lib/buf.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

void route_walk_init(struct route_table *table, size_t rows)
{
    table->names = name_index_new();
    table->first_named = SIZE_MAX;
    table->loose = mem_alloc((rows + 1) * sizeof(*table->loose));
    table->places.known = map_new();
    table->places.first = mem_alloc((rows + 1) * sizeof(*table->places.first));
}

void route_walk_clear(struct route_table *table)
{
    name_index_free(&table->names);
    free(table->loose);
    map_free(&table->places.known);
    free(table->places.first);
}

static void add_names(struct buf *key, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        buf_append(key, names->items[i], strlen(names->items[i]) + 1);
    buf_append(key, "", 1);
}

static void add_place(struct route_places *places, const struct rule *rule, size_t row)
{
    struct buf key = {0};
    add_names(&key, &rule->listeners);
    buf_append(&key, &rule->source.count, sizeof(rule->source.count));
    buf_append(&key, rule->source.items, rule->source.count * sizeof(*rule->source.items));
    for (size_t i = 0; i < rule->destination.count; i++) {
        const struct destination *one = &rule->destination.items[i];
        buf_append(&key, &one->network, sizeof(one->network));
        buf_append(&key, &one->port, sizeof(one->port));
    }
    if (map_set(places->known, buf_data(&key), buf_len(&key), places->known) == NULL)
        places->first[places->count++] = (uint32_t)row;
    buf_free(&key);
}

void route_walk_add(struct route_table *table, size_t row)
{
    const struct rule *rule = &table->rules[row];
    for (size_t i = 0; i < rule->sni.count; i++)
        name_index_add(table->names, rule->sni.items[i], row);
    if (rule->sni.count == 0 || rule->sni_regex_count > 0) table->loose[table->loose_count++] = (uint32_t)row;
    if (rule->sni.count == 0) return;
    if (table->first_named == SIZE_MAX) table->first_named = row;
    if (rule->inside.count == 0) add_place(&table->places, rule, row);
}

/* The named rows that are still ahead. */
struct named {
    struct route_table *table;
    bool resolved; /* matches or waits are known */
    bool waits;    /* the name is not there yet: next is the row that needs more */
    size_t next;   /* a lower bound until resolved; SIZE_MAX: none */
};

/* The first row whose place holds. */
static size_t first_waiting(const struct route_table *table, const struct route_query *query)
{
    for (size_t i = 0; i < table->places.count; i++)
        if (rule_place_holds(&table->rules[table->places.first[i]], query)) return table->places.first[i];
    return SIZE_MAX;
}

static void resolve(struct named *named, struct look *look)
{
    static int tls = -1;
    if (tls < 0) tls = probe_find("tls");
    enum probe_verdict verdict = look->query->inside != NULL ? PROBE_MATCH : rule_ask(look, (size_t)tls);
    const struct clienthello *hello = verdict == PROBE_MATCH ? rule_hello(look) : NULL;
    named->resolved = true;
    named->waits = verdict == PROBE_MORE;
    named->table->matches.count = 0;
    if (named->waits) {
        named->next = first_waiting(named->table, look->query);
        return;
    }
    if (hello != NULL && hello->has_sni) name_index_find(named->table->names, hello->sni, &named->table->matches);
    named->next = name_matches_from(&named->table->matches, 0);
}

static enum probe_verdict visit(const struct route_table *table, struct look *look, size_t row, enum look_sni sni)
{
    look->sni = sni;
    return rule_holds(&table->rules[row], look);
}

enum probe_verdict route_walk(struct route_table *table, struct look *look, size_t *row)
{
    struct named named = {.table = table, .next = table->first_named};
    for (size_t i = 0;;) {
        size_t loose = i < table->loose_count ? table->loose[i] : SIZE_MAX;
        if (!named.resolved && named.next <= loose && named.next != SIZE_MAX) resolve(&named, look);
        if (named.next == SIZE_MAX && loose == SIZE_MAX) return PROBE_NO;
        enum probe_verdict verdict;
        if (named.next <= loose) {
            if (named.waits) return PROBE_MORE;
            *row = named.next;
            verdict = visit(table, look, *row, LOOK_SNI_FOUND);
            named.next = name_matches_from(&table->matches, *row + 1);
        } else {
            *row = loose;
            verdict = visit(table, look, *row, LOOK_SNI_REGEXES);
            i++;
        }
        if (verdict != PROBE_NO) return verdict;
    }
}
