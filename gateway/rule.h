/* rule - one row of the route table: the conditions of a "route" section. */
#ifndef POSTERN_GATEWAY_RULE_H
#define POSTERN_GATEWAY_RULE_H

#include "gateway/pattern.h"
#include "gateway/route.h"

#include <stdbool.h>
#include <stdint.h>

struct names {
    size_t count;
    char **items;
};

/* All conditions hold together; one that is unset (no names, no protocols) always holds.
 * Invariant: sni or alpn set -> protocols is tls alone; on_timeout -> none of these three. */
struct rule {
    struct route route;
    struct names listeners;
    uint64_t protocols; /* bit i: PROBES[i], and behind them the patterns */
    struct names sni;   /* cleaned patterns */
    struct names alpn;
    bool on_timeout;
};

/* One decision: what is seen of a connection, with each probe's and pattern's verdict once it has been asked for. */
struct look {
    struct sight *sight;
    const struct route_query *query;
    struct pattern_set *patterns;
    uint64_t asked;
    enum probe_verdict verdicts[PROBE_MAX];
    route_trace_fn *trace; /* NULL: none */
    void *trace_arg;
};

/* rule_read - fill rule from a section.  Returns 0, or -1 with a message in error; rule_clear frees it either way. */
MUSTCHECK int rule_read(struct rule *rule, const struct option_file *file, const struct option_section *section,
                        const struct pattern_set *patterns, char *error, size_t cap);
void rule_clear(struct rule *rule);

/* rule_holds - whether all conditions hold.  Never PROBE_MORE when the sight is final. */
MUSTCHECK enum probe_verdict rule_holds(const struct rule *rule, struct look *look);

/* rule_protocol_name - the name that a bit of protocols stands for. */
const char *rule_protocol_name(const struct pattern_set *patterns, size_t index);

/* rule_covers - whether wide holds for every connection that narrow holds for. */
bool rule_covers(const struct rule *wide, const struct rule *narrow);

#endif
