#include "backend/srv_lookup.h"

#include "backend/dns.h"
#include "backend/shard.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECT, STARTTLS, SERVICES };

static const char *const SERVICE_NAMES[SERVICES] = {"_xmpps-server._tcp", "_xmpp-server._tcp"};

enum { RECORDS_MAX = 64, WHY_BYTES = 256 }; /* of one service; a message of DNS has room for more */

struct service {
    struct srv_lookup *lookup;
    struct dns_query *query;
    enum dns_status status;
    bool secure, none; /* none: it says that there is no such service */
    char why[WHY_BYTES];
};

struct srv_lookup {
    struct service services[SERVICES];
    const struct s2s_trace *trace;
    srv_lookup_fn *fn;
    void *arg;
    struct s2s_srv *records;
    size_t count;
};

static void finish(struct srv_lookup *lookup, const struct srv_lookup_result *result)
{
    lookup->fn(result, lookup->arg);
}

static void fail(struct srv_lookup *lookup, enum s2s_failure failure, const char *why)
{
    const struct srv_lookup_result result = {.status = SRV_LOOKUP_FAILED, .failure = failure, .why = why};
    finish(lookup, &result);
}

static const struct service *with(const struct srv_lookup *lookup, enum dns_status status)
{
    for (int i = 0; i < SERVICES; i++)
        if (lookup->services[i].status == status) return &lookup->services[i];
    return NULL;
}

/* Once both have answered.  The own addresses of a domain whose records could not be had are none of its servers. */
static void conclude(struct srv_lookup *lookup)
{
    const struct service *direct = &lookup->services[DIRECT], *starttls = &lookup->services[STARTTLS], *bad;
    if (lookup->count > 0) {
        s2s_srv_order(lookup->records, lookup->count, s2s_srv_chance);
        const size_t count = lookup->count < SRV_LOOKUP_MAX ? lookup->count : SRV_LOOKUP_MAX;
        for (size_t i = 0; i < count; i++) {
            const struct s2s_srv *r = &lookup->records[i];
            s2s_trace(lookup->trace, 1, "srv", "%s port %u, %s, priority %u, weight %u%s", r->target, r->port,
                      r->direct_tls ? "direct TLS" : "STARTTLS", r->priority, r->weight, r->secure ? ", signed" : "");
        }
        finish(lookup,
               &(struct srv_lookup_result){.status = SRV_LOOKUP_FOUND, .records = lookup->records, .count = count});
    } else if ((bad = with(lookup, DNS_BOGUS)) != NULL) {
        fail(lookup, S2S_DNS_BOGUS, bad->why);
    } else if ((bad = with(lookup, DNS_FAILED)) != NULL) {
        fail(lookup, S2S_DNS_FAILED, bad->why);
    } else if (direct->none || starttls->none) {
        fail(lookup, S2S_NO_SERVICE, "its SRV records have the target \".\"");
    } else if (direct->status == DNS_OK || starttls->status == DNS_OK) {
        fail(lookup, S2S_NOT_FOUND, "none of its SRV records can be used");
    } else {
        s2s_trace(lookup->trace, -1, "srv", "no records: the domain's own addresses, port 5269");
        finish(lookup,
               &(struct srv_lookup_result){.status = SRV_LOOKUP_ABSENT, .secure = direct->secure && starttls->secure});
    }
}

static void take(struct srv_lookup *lookup, struct service *service, const struct dns_answer *answer)
{
    const size_t count = answer->count < RECORDS_MAX ? answer->count : RECORDS_MAX;
    lookup->records = mem_realloc(lookup->records, (lookup->count + count) * sizeof(struct s2s_srv));
    for (size_t i = 0; i < count; i++) {
        struct s2s_srv *record = &lookup->records[lookup->count];
        switch (s2s_srv_parse(answer->records[i].data, answer->records[i].len, record)) {
        case S2S_SRV_HOST:
            record->secure = answer->secure;
            record->direct_tls = service == &lookup->services[DIRECT];
            lookup->count++;
            break;
        case S2S_SRV_NONE:
            service->none = true;
            break;
        case S2S_SRV_UNUSABLE:
            s2s_trace(lookup->trace, 0, "srv", "a record cannot be used: its target is not a host name, or its port 0");
            break;
        }
    }
}

static void on_answer(const struct dns_answer *answer, void *arg)
{
    struct service *service = arg;
    struct srv_lookup *lookup = service->lookup;
    const char *name = SERVICE_NAMES[service - lookup->services];
    service->query = NULL;
    service->status = answer->status;
    service->secure = answer->secure;
    snprintf(service->why, sizeof(service->why), "%s: %s", name, answer->why);
    if (answer->status == DNS_OK) {
        take(lookup, service, answer);
        if (service->none) s2s_trace(lookup->trace, -1, "srv", "%s: target \".\": there is no such service", name);
    } else {
        s2s_trace(lookup->trace, answer->status == DNS_NOT_FOUND ? -1 : 0, "srv", "%s", service->why);
    }
    if (!lookup->services[DIRECT].query && !lookup->services[STARTTLS].query) conclude(lookup);
}

struct srv_lookup *srv_lookup_new(struct shard *shard, const char *domain, const struct s2s_trace *trace,
                                  srv_lookup_fn *fn, void *arg)
{
    struct srv_lookup *lookup = MEM_NEW(struct srv_lookup);
    lookup->trace = trace;
    lookup->fn = fn;
    lookup->arg = arg;
    for (int i = 0; i < SERVICES; i++) {
        struct service *service = &lookup->services[i];
        char *name = mem_asprintf("%s.%s", SERVICE_NAMES[i], domain);
        service->lookup = lookup;
        service->query = dns_ask(shard->backend->dns, shard->mailbox, name, DNS_SRV, on_answer, service);
        free(name);
    }
    return lookup;
}

void srv_lookup_free(struct srv_lookup **lookup)
{
    struct srv_lookup *l = *lookup;
    if (!l) return;
    *lookup = NULL;
    for (int i = 0; i < SERVICES; i++)
        dns_cancel(&l->services[i].query);
    free(l->records);
    free(l);
}
