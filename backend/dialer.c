#include "backend/dialer.h"

#include "backend/backend_config.h"
#include "backend/host_lookup.h"
#include "backend/jid_prep.h"
#include "backend/listener_check.h"
#include "backend/s2s_place.h"
#include "backend/shard.h"
#include "backend/srv_lookup.h"
#include "lib/eyeballs.h"
#include "lib/mem.h"
#include "lib/socks5_dial.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DIALER_MAGIC = 0x6469616c,
    ADDRESSES_MAX = 32, /* of all targets together */
    PROXY_FACTOR = 4,   /* a proxy such as Tor's has to find a way itself */
    WHY_BYTES = 512
};

struct target {
    char name[DIALER_NAME_BYTES]; /* a host in A-labels, or an address */
    uint16_t port;
    bool direct_tls, secure;
};

struct dialer {
    unsigned magic;
    struct shard *shard;
    const struct s2s_policy *policy;
    const struct s2s_trace *trace;
    const struct dialer_events *events;
    void *arg;
    char domain[DIALER_NAME_BYTES]; /* in A-labels */
    struct target *targets;
    size_t target_count, next_target;
    const struct target *target; /* the one that is tried */
    unsigned addresses;          /* that were tried or are about to be */
    struct srv_lookup *srv;
    struct host_lookup *host;
    struct eyeballs *eyeballs;
    struct socks5_dial *proxied;
    int held_fd; /* connected, while TLSA records are awaited; -1: none */
    struct dialer_way way;
    bool failed;
    enum s2s_failure failure; /* of the most promising way */
    char why[WHY_BYTES];
    struct loop_deferred turn; /* the next target, at the end of this turn */
    struct event *limit;
    int64_t left_ms, since_ms;
};

/* How promising a way was that failed so: the higher, the nearer it came to a stream. */
static int promise_of(enum s2s_failure failure)
{
    static const enum s2s_failure LEAST[] = {S2S_NOT_FOUND, S2S_NO_SERVICE, S2S_OURSELVES, S2S_DNS_FAILED,
                                             S2S_DNS_BOGUS, S2S_PROXY,      S2S_CONNECT};
    for (size_t i = 0; i < ARRAY_LEN(LEAST); i++)
        if (LEAST[i] == failure) return (int)i;
    return ARRAY_LEN(LEAST);
}

static void note(struct dialer *dialer, enum s2s_failure failure, const char *why)
{
    if (dialer->failed && promise_of(failure) <= promise_of(dialer->failure)) return;
    dialer->failed = true;
    dialer->failure = failure;
    snprintf(dialer->why, sizeof(dialer->why), "%s", why);
}

static void drop_target(struct dialer *dialer)
{
    if (dialer->held_fd >= 0) close(dialer->held_fd);
    dialer->held_fd = -1;
    host_lookup_free(&dialer->host);
    eyeballs_free(&dialer->eyeballs);
    socks5_dial_free(&dialer->proxied);
    dialer->target = NULL;
}

static void drop_all(struct dialer *dialer)
{
    drop_target(dialer);
    srv_lookup_free(&dialer->srv);
    loop_defer_cancel(&dialer->turn);
    event_del(dialer->limit);
}

static void finish(struct dialer *dialer)
{
    drop_all(dialer);
    dialer->events->on_failed(dialer->arg, dialer->failure, dialer->why);
}

/* The time counts while we look and connect, not while the owner tries what we found. */
static void run_clock(struct dialer *dialer)
{
    const int64_t ms = dialer->left_ms > 0 ? dialer->left_ms : 1;
    const struct timeval left = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    dialer->since_ms = loop_now_ms(dialer->shard->loop);
    event_add(dialer->limit, &left);
}

static void stop_clock(struct dialer *dialer)
{
    dialer->left_ms -= loop_now_ms(dialer->shard->loop) - dialer->since_ms;
    event_del(dialer->limit);
}

static void go_on(struct dialer *dialer)
{
    drop_target(dialer);
    loop_defer(dialer->shard->loop, &dialer->turn);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct dialer *dialer = arg;
    (void)fd;
    (void)what;
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    const bool connecting = dialer->proxied || dialer->addresses > 0;
    note(dialer, connecting ? S2S_CONNECT : S2S_DNS_FAILED,
         connecting ? "no connection in time" : "no answer of DNS in time");
    s2s_trace(dialer->trace, 0, connecting ? "connect" : "srv", "it took too long");
    finish(dialer);
}

static void report(struct dialer *dialer, int fd)
{
    stop_clock(dialer);
    dialer->events->on_connected(dialer->arg, fd, &dialer->way);
}

static void fill_way(struct dialer *dialer)
{
    const struct target *target = dialer->target;
    dialer->way = (struct dialer_way){.direct_tls = target->direct_tls, .port = target->port};
    snprintf(dialer->way.target, sizeof(dialer->way.target), "%s", target->name);
}

/* One of our own listeners, whomever it serves: nobody's records shall have us talk to our own pages or components.  It
 * is the address that it names, or, when it listens on every address, one of this machine, which is where we connect
 * from then. */
static bool is_ourselves(const struct dialer *dialer, int fd, const struct addr *addr)
{
    const struct option_file *file = shard_config(dialer->shard)->file;
    const struct option_section *s = NULL;
    struct addr local = addr_of_socket(fd);
    const bool same_family = local.sa.sa_family == addr->sa.sa_family;
    if (same_family && addr->sa.sa_family == AF_INET6)
        local.in6.sin6_port = addr->in6.sin6_port;
    else if (same_family)
        local.in.sin_port = addr->in.sin_port;
    const bool from_there = addr_equal(&local, addr);
    while ((s = option_next(file, "listener", s)) != NULL) {
        for (size_t i = 0; i < option_count(s, "address"); i++) {
            const struct addr *ours = &option_endpoint(s, "address", i)->ip;
            if (addr_port(ours) != addr_port(addr)) continue;
            if (addr_is_any(ours) ? from_there : addr_equal(ours, addr)) return true;
        }
    }
    return false;
}

/* Connected, and the answer about TLSA records is there. */
static void weigh(struct dialer *dialer, int fd)
{
    static const char KEPT[] = "its TLSA records, which its signed zone may have, could not be looked up";
    struct dialer_way *way = &dialer->way;
    const enum host_tlsa tlsa = host_lookup_tlsa(dialer->host, &way->tlsa, &way->tlsa_count);
    if (tlsa == HOST_TLSA_PENDING) {
        dialer->held_fd = fd;
    } else if (tlsa == HOST_TLSA_FAILED || tlsa == HOST_TLSA_BOGUS) {
        close(fd);
        note(dialer, tlsa == HOST_TLSA_BOGUS ? S2S_DNS_BOGUS : S2S_DNS_FAILED, KEPT);
        go_on(dialer);
    } else {
        report(dialer, fd);
    }
}

static void on_tlsa(void *arg)
{
    struct dialer *dialer = arg;
    const int fd = dialer->held_fd;
    dialer->held_fd = -1;
    if (fd >= 0) weigh(dialer, fd);
}

static void on_connected(void *arg, int fd, const struct addr *addr)
{
    struct dialer *dialer = arg;
    char text[ADDR_TEXT_BYTES];
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    addr_format(addr, ADDR_FULL, text, sizeof(text));
    if (is_ourselves(dialer, fd, addr)) {
        s2s_trace(dialer->trace, 0, "connect", "%s is this very server", text);
        note(dialer, S2S_OURSELVES, text);
        close(fd);
        eyeballs_resume(dialer->eyeballs);
        return;
    }
    s2s_trace(dialer->trace, 1, "connect", "%s", text);
    fill_way(dialer);
    dialer->way.addr = *addr;
    dialer->way.secure =
        dialer->host && dialer->target->secure && host_lookup_is_secure(dialer->host, addr->sa.sa_family);
    if (dialer->way.secure)
        weigh(dialer, fd);
    else
        report(dialer, fd);
}

static void on_refused(void *arg, const struct addr *addr, int error)
{
    struct dialer *dialer = arg;
    char text[ADDR_TEXT_BYTES], why[WHY_BYTES];
    snprintf(why, sizeof(why), "%s: %s", addr_format(addr, ADDR_FULL, text, sizeof(text)), strerror(error));
    s2s_trace(dialer->trace, 0, "connect", "%s", why);
    note(dialer, S2S_CONNECT, why);
}

static void on_exhausted(void *arg)
{
    go_on(arg);
}

static void on_address(void *arg, const struct addr *addr)
{
    struct dialer *dialer = arg;
    if (dialer->addresses == ADDRESSES_MAX) return;
    dialer->addresses++;
    eyeballs_add(dialer->eyeballs, addr);
}

static void on_addresses_end(void *arg)
{
    struct dialer *dialer = arg;
    const char *why = NULL;
    const enum s2s_failure failure = host_lookup_failure(dialer->host, &why);
    note(dialer, failure, why);
    eyeballs_end(dialer->eyeballs);
}

static void on_proxied(void *arg, enum socks5_verdict verdict, int fd, const char *why)
{
    struct dialer *dialer = arg;
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    s2s_trace(dialer->trace, verdict == SOCKS5_DONE, "proxy", "%s port %u%s%s", dialer->target->name,
              dialer->target->port, why ? ": " : "", why ? why : "");
    if (verdict == SOCKS5_DONE) {
        fill_way(dialer);
        dialer->way.proxied = true;
        report(dialer, fd);
        return;
    }
    note(dialer, verdict == SOCKS5_REFUSED ? S2S_CONNECT : S2S_PROXY, why);
    go_on(dialer);
}

static bool read_literal(const char *text, uint16_t port, struct addr *out)
{
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1) {
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) != 1) return false;
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(port);
    return true;
}

static void try_proxied(struct dialer *dialer)
{
    const struct target *target = dialer->target;
    dialer->proxied = socks5_dial_new(dialer->shard->loop, dialer->policy->proxy, target->name, target->port,
                                      dialer->domain, on_proxied, dialer);
    if (dialer->proxied) return;
    note(dialer, S2S_NOT_FOUND, "the name is too long for a proxy");
    go_on(dialer);
}

static void try_direct(struct dialer *dialer)
{
    static const struct eyeballs_events EYEBALLS = {
        .on_connected = on_connected, .on_refused = on_refused, .on_exhausted = on_exhausted};
    static const struct host_lookup_events LOOKUP = {
        .on_address = on_address, .on_addresses_end = on_addresses_end, .on_tlsa = on_tlsa};
    const struct target *target = dialer->target;
    struct addr literal;
    dialer->eyeballs = eyeballs_new(dialer->shard->loop, &EYEBALLS, dialer);
    if (read_literal(target->name, target->port, &literal)) {
        on_address(dialer, &literal);
        eyeballs_end(dialer->eyeballs);
        return;
    }
    dialer->host = host_lookup_new(dialer->shard, target->name, target->port, target->secure && dialer->policy->dane,
                                   dialer->trace, &LOOKUP, dialer);
}

static void on_turn(void *arg)
{
    struct dialer *dialer = arg;
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    if (dialer->next_target == dialer->target_count || dialer->addresses == ADDRESSES_MAX) {
        finish(dialer);
        return;
    }
    dialer->target = &dialer->targets[dialer->next_target++];
    if (dialer->policy->proxy)
        try_proxied(dialer);
    else
        try_direct(dialer);
}

static struct target *add_target(struct dialer *dialer, const char *name, uint16_t port)
{
    dialer->targets = mem_realloc(dialer->targets, (dialer->target_count + 1) * sizeof(struct target));
    struct target *target = &dialer->targets[dialer->target_count++];
    *target = (struct target){.port = port};
    snprintf(target->name, sizeof(target->name), "%s", name);
    return target;
}

static void on_srv(const struct srv_lookup_result *result, void *arg)
{
    struct dialer *dialer = arg;
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    if (result->status == SRV_LOOKUP_FAILED) note(dialer, result->failure, result->why);
    if (result->status == SRV_LOOKUP_ABSENT) add_target(dialer, dialer->domain, S2S_PORT)->secure = result->secure;
    for (size_t i = 0; i < result->count; i++) {
        struct target *target = add_target(dialer, result->records[i].target, result->records[i].port);
        target->direct_tls = result->records[i].direct_tls;
        target->secure = result->records[i].secure;
    }
    srv_lookup_free(&dialer->srv);
    go_on(dialer);
}

/* An address instead of a name, as a domain of XMPP may be (RFC 7622 section 3.2.2). */
static bool is_literal_domain(const char *domain, char *out, size_t cap)
{
    struct addr addr;
    const size_t brackets = domain[0] == '[';
    const size_t len = strlen(domain);
    if (len < 2 * brackets + 1 || len - 2 * brackets >= cap) return false;
    memcpy(out, domain + brackets, len - 2 * brackets);
    out[len - 2 * brackets] = '\0';
    return read_literal(out, 0, &addr);
}

static void on_begin(void *arg)
{
    struct dialer *dialer = arg;
    const struct s2s_policy *policy = dialer->policy;
    struct addr literal;
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    dialer->turn.fn = on_turn;
    run_clock(dialer);
    for (size_t i = 0; i < policy->place_count; i++) {
        const struct s2s_place *place = &policy->places[i];
        add_target(dialer, place->name, place->port)->direct_tls = place->tls == S2S_TLS_DIRECT;
    }
    if (policy->place_count > 0)
        s2s_trace(dialer->trace, -1, "srv", "not asked for: a section remote says where it is");
    if (policy->place_count > 0 || dialer->failed) {
        on_turn(dialer);
    } else if (policy->proxy || read_literal(dialer->domain, S2S_PORT, &literal)) {
        add_target(dialer, dialer->domain, S2S_PORT);
        on_turn(dialer);
    } else {
        dialer->srv = srv_lookup_new(dialer->shard, dialer->domain, dialer->trace, on_srv, dialer);
    }
}

struct dialer *dialer_new(struct shard *shard, const char *domain, const struct s2s_policy *policy,
                          const struct s2s_trace *trace, const struct dialer_events *events, void *arg)
{
    struct dialer *dialer = MEM_NEW(struct dialer);
    dialer->magic = DIALER_MAGIC;
    dialer->shard = shard;
    dialer->policy = policy;
    dialer->trace = trace;
    dialer->events = events;
    dialer->arg = arg;
    dialer->held_fd = -1;
    snprintf(dialer->why, sizeof(dialer->why), "nothing to connect to");
    dialer->left_ms = option_int(option_top(shard_config(shard)->file), "s2s-connect-timeout");
    if (policy->proxy) dialer->left_ms *= PROXY_FACTOR;
    dialer->limit = event_new(loop_base(shard->loop), -1, 0, on_limit, dialer);
    CHECK(dialer->limit);
    if (!is_literal_domain(domain, dialer->domain, sizeof(dialer->domain)) &&
        jid_prep_ascii(domain, dialer->domain, sizeof(dialer->domain)) != 0)
        note(dialer, S2S_NOT_FOUND, "the domain is not a host name");
    dialer->turn = (struct loop_deferred){.fn = on_begin, .arg = dialer};
    loop_defer(shard->loop, &dialer->turn);
    return dialer;
}

void dialer_next(struct dialer *dialer, enum s2s_failure failure, const char *why)
{
    CHECK_MAGIC(dialer, DIALER_MAGIC);
    note(dialer, failure, why);
    run_clock(dialer);
    if (dialer->eyeballs)
        eyeballs_resume(dialer->eyeballs);
    else
        go_on(dialer);
}

void dialer_free(struct dialer **dialer)
{
    struct dialer *d = *dialer;
    if (!d) return;
    CHECK_MAGIC(d, DIALER_MAGIC);
    *dialer = NULL;
    drop_all(d);
    event_free(d->limit);
    free(d->targets);
    d->magic = 0;
    free(d);
}
