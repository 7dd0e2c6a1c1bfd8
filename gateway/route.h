/* route - the ordered table of routes: the first whose conditions all hold wins.
 *
 * A later row may not win while an earlier one still needs more bytes.  A row without conditions matches every
 * connection that sent at least one byte; silence is matched by rows with on-timeout only. */
#ifndef POSTERN_GATEWAY_ROUTE_H
#define POSTERN_GATEWAY_ROUTE_H

#include "gateway/probe.h"
#include "lib/addr.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stdbool.h>
#include <stddef.h>

enum route_action { ROUTE_PROXY, ROUTE_HANDOFF, ROUTE_REFUSE, ROUTE_TERMINATE };

struct pattern_set;
struct refusal;

struct route {
    const char *name; /* the section's title; borrowed from the file */
    int line;         /* where the section starts: the rule in the log */
    enum route_action action;
    const char *target;            /* title of the upstream, backend or tls section; NULL for refuse */
    const struct refusal *refusal; /* how to refuse; NULL for the other actions */
    size_t index;                  /* place in the table */
    void *user;                    /* for the action, set by the worker */
};

struct route_table;

/* What is known of a connection besides its bytes; borrowed. */
struct route_query {
    const char *listener;           /* title of the listener that accepted it */
    const struct addr *source;      /* the client; NULL: unknown */
    const struct addr *destination; /* the address that it connected to; NULL: unknown */
    const char *inside; /* title of the "tls" section that decrypts it: the bytes are plaintext; NULL: as sent */
    const struct clienthello *negotiated; /* with inside: clienthello_negotiated, which its names are told by */
};

/* route_table_new - build the table from the "route" and "pattern" sections of a file.  NULL and a message in error
 * (file, line, what was expected): no action or two, an unknown protocol, listener, upstream or backend, a malformed
 * name, network or regular expression, conditions that exclude each other, a refusal in words of another protocol, a
 * row that can never be reached, a faulty pattern. */
MUSTCHECK struct route_table *route_table_new(const struct option_file *file, char *error, size_t cap);
void route_table_free(struct route_table **table);

size_t route_count(const struct route_table *table);
struct route *route_at(struct route_table *table, size_t index);

/* route_patterns - what the conditions of its rows are searched with. */
struct pattern_set *route_patterns(const struct route_table *table);

enum route_verdict { ROUTE_MORE, ROUTE_FOUND, ROUTE_NONE };

/* The conditions of a row.  First those are looked at that need no bytes, so that a row that cannot hold for a
 * connection never makes it wait. */
enum route_condition {
    ROUTE_ON_TIMEOUT,
    ROUTE_INSIDE,
    ROUTE_LISTENER,
    ROUTE_SOURCE,
    ROUTE_DESTINATION,
    ROUTE_PROTOCOL,
    ROUTE_NO_SNI,
    ROUTE_SNI,
    ROUTE_NO_ALPN,
    ROUTE_ALPN,
    ROUTE_TLS_VERSION,
    ROUTE_ECH,
    ROUTE_CONDITION_COUNT
};

/* route_trace_fn - is told of each condition that is looked at; an unset one holds, and the first that does not hold is
 * the row's last. */
struct rule;
struct look;
typedef void route_trace_fn(void *arg, const struct rule *rule, const struct look *look, enum route_condition condition,
                            enum probe_verdict verdict);

/* route_find - decide by what is seen of a connection and by the query.  ROUTE_FOUND: *out is the row.
 * Never ROUTE_MORE when sight->final.  Fills sight by running probes, each at most once a call. */
MUSTCHECK enum route_verdict route_find(struct route_table *table, struct sight *sight, const struct route_query *query,
                                        struct route **out);

/* route_trace - the same decision by looking at every row in turn, telling trace how it goes. */
enum route_verdict route_trace(struct route_table *table, struct sight *sight, const struct route_query *query,
                               struct route **out, route_trace_fn *trace, void *trace_arg);

#endif
