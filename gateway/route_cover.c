#include "gateway/route_cover.h"

#include "lib/mem.h"

#include <stdlib.h>

enum { PREFIXES = 129 }; /* lengths of an IPv6 prefix */

/* A row can be covered only by one that has its first name, or is loose; and if that one names networks, by one with a
 * network that its own first network lies in. */
struct route_cover {
    const struct route_table *table;
    uint32_t *open; /* loose rows without source */
    size_t open_count;
    struct name_index *networks;  /* of the other loose rows, as texts */
    bool has_prefix[2][PREFIXES]; /* whether there is such a network, of IPv4 and of IPv6 */
};

struct route_cover *route_cover_new(const struct route_table *table, size_t rows)
{
    struct route_cover *cover = MEM_NEW(struct route_cover);
    cover->table = table;
    cover->open = mem_alloc((rows + 1) * sizeof(*cover->open));
    cover->networks = name_index_new();
    return cover;
}

void route_cover_free(struct route_cover **cover)
{
    struct route_cover *old = *cover;
    *cover = NULL;
    name_index_free(&old->networks);
    free(old->open);
    free(old);
}

void route_cover_add(struct route_cover *cover, size_t row)
{
    const struct rule *rule = &cover->table->rules[row];
    bool loose = rule->sni.count == 0 || rule->sni_regex_count > 0;
    if (!loose) return;
    if (rule->source.count == 0) cover->open[cover->open_count++] = (uint32_t)row;
    for (size_t i = 0; i < rule->source.count; i++) {
        char text[CIDR_TEXT_BYTES];
        const struct cidr *network = &rule->source.items[i];
        cover->has_prefix[network->family == 6][network->bits] = true;
        name_index_add(cover->networks, cidr_format(network, text, sizeof(text)), row);
    }
}

/* The first of the two that covers, by its place in the table; best may be NULL. */
static const struct rule *better(const struct route_cover *cover, const struct rule *best, size_t row,
                                 const struct rule *narrow)
{
    const struct rule *rule = &cover->table->rules[row];
    if (best != NULL && best->route.index <= row) return best;
    return rule_covers(rule, narrow, cover->table->patterns) ? rule : best;
}

static const struct rule *find_in(const struct route_cover *cover, const struct name_index *index, const char *name,
                                  const struct rule *best, const struct rule *narrow)
{
    struct name_matches matches;
    name_index_find(index, name, &matches);
    for (size_t at = 0; (at = name_matches_from(&matches, at)) != SIZE_MAX; at++)
        best = better(cover, best, at, narrow);
    return best;
}

const struct rule *route_cover_find(const struct route_cover *cover, size_t row)
{
    const struct rule *rule = &cover->table->rules[row], *best = NULL;
    if (rule->sni.count > 0) best = find_in(cover, cover->table->names, rule->sni.items[0], best, rule);
    for (size_t i = 0; i < cover->open_count; i++)
        best = better(cover, best, cover->open[i], rule);
    if (rule->source.count == 0) return best;
    const struct cidr *first = &rule->source.items[0];
    for (uint8_t bits = 0; bits <= first->bits; bits++) {
        if (!cover->has_prefix[first->family == 6][bits]) continue;
        char text[CIDR_TEXT_BYTES];
        struct cidr wide = cidr_widen(first, bits);
        best = find_in(cover, cover->networks, cidr_format(&wide, text, sizeof(text)), best, rule);
    }
    return best;
}
