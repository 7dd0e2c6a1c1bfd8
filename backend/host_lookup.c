#include "backend/host_lookup.h"

#include "backend/dns.h"
#include "backend/shard.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V6, V4, TLSA, QUESTIONS };
enum { RESOLUTION_DELAY_MS = 50, TLSA_HEAD_BYTES = 3, WHY_BYTES = 256 };

struct question {
    struct host_lookup *lookup;
    struct dns_query *query;
    enum dns_status status;
    bool secure;
    char why[WHY_BYTES];
};

struct host_lookup {
    struct question questions[QUESTIONS];
    const struct s2s_trace *trace;
    const struct host_lookup_events *events;
    void *arg;
    struct addr held[HOST_LOOKUP_ADDRESSES]; /* of IPv4, while IPv6 is awaited for a moment */
    size_t held_count;
    struct event *delay;
    uint16_t port;
    struct dialer_tlsa *tlsa;
    size_t tlsa_count;
    char *host;
};

static void release_held(struct host_lookup *lookup)
{
    const size_t count = lookup->held_count;
    lookup->held_count = 0;
    if (lookup->delay) event_del(lookup->delay);
    for (size_t i = 0; i < count; i++)
        lookup->events->on_address(lookup->arg, &lookup->held[i]);
}

static void on_delay_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    release_held(arg);
}

bool host_lookup_read_address(int family, const struct dns_record *record, uint16_t port, struct addr *out)
{
    memset(out, 0, sizeof(*out));
    if (family == AF_INET) {
        if (record->len != sizeof(out->in.sin_addr)) return false;
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(port);
        memcpy(&out->in.sin_addr, record->data, record->len);
        return !addr_is_any(out) && !IN_MULTICAST(ntohl(out->in.sin_addr.s_addr));
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (record->len != sizeof(in6.sin6_addr)) return false;
    memcpy(&in6.sin6_addr, record->data, record->len);
    addr_from_sockaddr(out, (const struct sockaddr *)&in6, sizeof(in6));
    return !addr_is_any(out) && !IN6_IS_ADDR_MULTICAST(&in6.sin6_addr);
}

static void trace_failure(const struct host_lookup *lookup, const struct question *question, const char *step)
{
    s2s_trace(lookup->trace, question->status == DNS_NOT_FOUND ? -1 : 0, step, "%s: %s", lookup->host, question->why);
}

static void take_addresses(struct host_lookup *lookup, int kind, const struct dns_answer *answer)
{
    size_t used = 0;
    char text[ADDR_TEXT_BYTES];
    for (size_t i = 0; i < answer->count && used < HOST_LOOKUP_ADDRESSES; i++) {
        struct addr addr;
        if (!host_lookup_read_address(kind == V6 ? AF_INET6 : AF_INET, &answer->records[i], lookup->port, &addr))
            continue;
        s2s_trace(lookup->trace, 1, "address", "%s: %s%s", lookup->host, addr_format_host(&addr, text, sizeof(text)),
                  answer->secure ? ", signed" : "");
        used++;
        if (kind == V4 && lookup->questions[V6].query)
            lookup->held[lookup->held_count++] = addr;
        else
            lookup->events->on_address(lookup->arg, &addr);
    }
}

static void take_answer(struct question *question, const struct dns_answer *answer, const char *type)
{
    question->query = NULL;
    question->status = answer->status;
    question->secure = answer->secure;
    snprintf(question->why, sizeof(question->why), "%s: %s", type, answer->why);
}

static void on_addresses(const struct dns_answer *answer, void *arg)
{
    static const struct timeval DELAY = {.tv_usec = RESOLUTION_DELAY_MS * 1000L};
    struct question *question = arg;
    struct host_lookup *lookup = question->lookup;
    const int kind = question == &lookup->questions[V6] ? V6 : V4;
    take_answer(question, answer, kind == V6 ? "AAAA" : "A");
    if (answer->status == DNS_OK)
        take_addresses(lookup, kind, answer);
    else
        trace_failure(lookup, question, "address");
    if (kind == V6) release_held(lookup);
    if (lookup->held_count > 0) event_add(lookup->delay, &DELAY);
    if (!lookup->questions[V6].query && !lookup->questions[V4].query) lookup->events->on_addresses_end(lookup->arg);
}

bool host_lookup_read_tlsa(const struct dns_record *record, struct dialer_tlsa *out)
{
    if (record->len <= TLSA_HEAD_BYTES) return false;
    *out = (struct dialer_tlsa){.usage = record->data[0],
                                .selector = record->data[1],
                                .matching = record->data[2],
                                .len = record->len - TLSA_HEAD_BYTES};
    out->data = mem_alloc(out->len);
    memcpy(out->data, record->data + TLSA_HEAD_BYTES, out->len);
    return true;
}

static void keep_tlsa(struct host_lookup *lookup, const struct dns_answer *answer)
{
    lookup->tlsa = mem_alloc(HOST_LOOKUP_TLSA * sizeof(struct dialer_tlsa));
    for (size_t i = 0; i < answer->count && lookup->tlsa_count < HOST_LOOKUP_TLSA; i++) {
        const struct dialer_tlsa *tlsa = &lookup->tlsa[lookup->tlsa_count];
        if (!host_lookup_read_tlsa(&answer->records[i], &lookup->tlsa[lookup->tlsa_count])) continue;
        lookup->tlsa_count++;
        s2s_trace(lookup->trace, 1, "tlsa", "_%u._tcp.%s: %u %u %u, signed", lookup->port, lookup->host, tlsa->usage,
                  tlsa->selector, tlsa->matching);
    }
}

static void on_tlsa(const struct dns_answer *answer, void *arg)
{
    struct question *question = arg;
    struct host_lookup *lookup = question->lookup;
    take_answer(question, answer, "TLSA");
    if (answer->status != DNS_OK)
        trace_failure(lookup, question, "tlsa");
    else if (answer->secure)
        keep_tlsa(lookup, answer);
    else
        s2s_trace(lookup->trace, -1, "tlsa", "%s: the records are not signed", lookup->host);
    lookup->events->on_tlsa(lookup->arg);
}

static void ask(struct host_lookup *lookup, struct shard *shard, int kind, const char *name, enum dns_type type)
{
    struct question *question = &lookup->questions[kind];
    question->lookup = lookup;
    question->query =
        dns_ask(shard->backend->dns, shard->mailbox, name, type, kind == TLSA ? on_tlsa : on_addresses, question);
}

struct host_lookup *host_lookup_new(struct shard *shard, const char *host, uint16_t port, bool tlsa,
                                    const struct s2s_trace *trace, const struct host_lookup_events *events, void *arg)
{
    struct host_lookup *lookup = MEM_NEW(struct host_lookup);
    lookup->trace = trace;
    lookup->events = events;
    lookup->arg = arg;
    lookup->port = port;
    lookup->host = mem_strdup(host);
    lookup->delay = event_new(loop_base(shard->loop), -1, 0, on_delay_over, lookup);
    CHECK(lookup->delay);
    ask(lookup, shard, V6, host, DNS_AAAA);
    ask(lookup, shard, V4, host, DNS_A);
    if (tlsa) {
        char *name = mem_asprintf("_%u._tcp.%s", port, host);
        ask(lookup, shard, TLSA, name, DNS_TLSA);
        free(name);
    }
    return lookup;
}

void host_lookup_free(struct host_lookup **lookup)
{
    struct host_lookup *l = *lookup;
    if (!l) return;
    *lookup = NULL;
    for (int i = 0; i < QUESTIONS; i++)
        dns_cancel(&l->questions[i].query);
    event_free(l->delay);
    for (size_t i = 0; i < l->tlsa_count; i++)
        free(l->tlsa[i].data);
    free(l->tlsa);
    free(l->host);
    free(l);
}

bool host_lookup_is_secure(const struct host_lookup *lookup, int family)
{
    return lookup->questions[family == AF_INET6 ? V6 : V4].secure;
}

enum host_tlsa host_lookup_tlsa(const struct host_lookup *lookup, const struct dialer_tlsa **records, size_t *count)
{
    const struct question *question = &lookup->questions[TLSA];
    *records = lookup->tlsa;
    *count = lookup->tlsa_count;
    if (!question->lookup) return HOST_TLSA_NONE;
    if (question->query) return HOST_TLSA_PENDING;
    if (question->status == DNS_BOGUS) return HOST_TLSA_BOGUS;
    if (question->status == DNS_FAILED) return HOST_TLSA_FAILED;
    return *count > 0 ? HOST_TLSA_RECORDS : HOST_TLSA_NONE;
}

enum s2s_failure host_lookup_failure(const struct host_lookup *lookup, const char **why)
{
    static const struct {
        enum dns_status status;
        enum s2s_failure failure;
    } ROWS[] = {{DNS_BOGUS, S2S_DNS_BOGUS}, {DNS_FAILED, S2S_DNS_FAILED}, {DNS_NOT_FOUND, S2S_NOT_FOUND}};
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        for (int kind = V6; kind <= V4; kind++) {
            *why = lookup->questions[kind].why;
            if (lookup->questions[kind].status == ROWS[i].status) return ROWS[i].failure;
        }
    }
    *why = "none of its addresses can be connected to";
    return S2S_NOT_FOUND;
}
