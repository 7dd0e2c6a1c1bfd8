/* rule - one row of the route table: the conditions of a "route" section. */
#ifndef POSTERN_GATEWAY_RULE_H
#define POSTERN_GATEWAY_RULE_H

#include "gateway/destination.h"
#include "gateway/pattern.h"
#include "gateway/route.h"
#include "lib/cidr.h"

#include <stdbool.h>
#include <stdint.h>

struct names {
    size_t count;
    char **items;
};

/* All conditions hold together; one that is unset (no names, no protocols, false) always holds.
 * Invariants: one of sni to ech set, and inside unset -> protocols is tls alone; on_timeout -> none of protocols to
 * ech; inside unset -> the row is for connections as they were sent, and for no others. */
struct rule {
    struct route route;
    struct names inside; /* titles of "tls" sections */
    struct names listeners;
    struct cidr_set source;
    struct destination_list destination;
    uint64_t protocols;    /* bit i: PROBES[i], and behind them the patterns */
    struct names sni;      /* cleaned patterns */
    size_t sni_regexes[8]; /* indexes in pattern_regexes */
    size_t sni_regex_count;
    struct names alpn;
    uint8_t versions; /* CLIENTHELLO_TLS12, … */
    bool no_sni, no_alpn, ech;
    bool on_timeout;
};

enum { RULE_SNI_REGEXES_MAX = ARRAY_LEN(((struct rule *)0)->sni_regexes) };

/* How much of the condition sni is still to be looked at. */
enum look_sni {
    LOOK_SNI_ALL,
    LOOK_SNI_FOUND,   /* the row was found by the name: the condition holds */
    LOOK_SNI_REGEXES, /* the row's plain names are known not to hold */
};

/* One decision: what is seen of a connection, with each probe's and pattern's verdict once it has been asked for. */
struct look {
    struct sight *sight;
    const struct route_query *query;
    struct pattern_set *patterns;
    uint64_t asked;
    enum probe_verdict verdicts[PROBE_MAX];
    enum look_sni sni;
    route_trace_fn *trace; /* NULL: none */
    void *trace_arg;
};

void rule_clear(struct rule *rule);

/* rule_is_set - whether the row has this condition; every row has that of silence, or of none. */
bool rule_is_set(const struct rule *rule, enum route_condition condition);

/* rule_is_inside - whether the row is for what this tls section decrypts. */
bool rule_is_inside(const struct rule *rule, const char *tls);

/* rule_condition_at - the condition that is looked at as the i-th: the protocol is the last for what is inside of TLS,
 * where all that a hello says is known before any byte. */
enum route_condition rule_condition_at(const struct route_query *query, size_t i);

/* rule_holds - whether all conditions hold.  Never PROBE_MORE when the sight is final. */
MUSTCHECK enum probe_verdict rule_holds(const struct rule *rule, struct look *look);

/* rule_place_holds - whether those conditions hold that no byte of a connection changes. */
bool rule_place_holds(const struct rule *rule, const struct route_query *query);

/* rule_told_holds - whether those conditions hold that a hello, or what was negotiated, tells. */
bool rule_told_holds(const struct rule *rule, const struct look *look);

/* rule_ask - the verdict of a probe or pattern, asked at most once for each decision. */
enum probe_verdict rule_ask(struct look *look, size_t index);

/* rule_hello - what names and versions are told by: the hello, or what was negotiated.  NULL: there is none, or not yet
 * the whole of it. */
const struct clienthello *rule_hello(const struct look *look);

/* rule_protocol_name - the name that a bit of protocols stands for. */
const char *rule_protocol_name(const struct pattern_set *patterns, size_t index);

/* rule_covers - whether wide holds for every connection that narrow holds for. */
bool rule_covers(const struct rule *wide, const struct rule *narrow, const struct pattern_set *patterns);

#endif
