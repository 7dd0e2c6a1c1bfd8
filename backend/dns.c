#include "backend/dns.h"

#include "backend/backend_config.h"
#include "backend/dns_context.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unbound.h>

enum {
    DNS_MAGIC = 0x7265736f,
    QUERY_MAGIC = 0x71756572,
    MAX_ASKED = 128, /* at once; libunbound gives up questions when it has too many */
    LOOK_MS = 1000,  /* how often files are looked at, at most */
    NAME_MAX_BYTES = 253,
    CLASS_IN = 1
};

/* All members are touched by the home thread only. */
struct dns {
    unsigned magic;
    struct loop *loop;
    struct mailbox *home;
    struct backend_config *config;
    struct ub_ctx *ctx; /* NULL: not needed yet, or to be made anew */
    struct event *event;
    bool has_thread, stopping;
    struct dns_files files;
    int64_t looked_ms;
    struct list waiting, asked; /* struct dns_query, link */
    size_t asked_count;
    struct deadline_queue *patience;
};

/* Made and freed by the thread that asks; the home thread has it from begin to settle. */
struct dns_query {
    unsigned magic;
    struct dns *dns;
    struct mailbox *reply_to;
    char *name;
    enum dns_type type;
    dns_fn *fn;
    void *arg;
    atomic_bool cancelled;
    struct list link;
    struct deadline deadline;
    int id; /* libunbound's */
    struct dns_answer answer;
    void *block; /* what the answer points to */
};

static void query_free(struct dns_query *query)
{
    query->magic = 0;
    free(query->block);
    free(query->name);
    free(query);
}

static void deliver(void *arg)
{
    struct dns_query *query = arg;
    CHECK_MAGIC(query, QUERY_MAGIC);
    if (!atomic_load_explicit(&query->cancelled, memory_order_relaxed)) query->fn(&query->answer, query->arg);
    query_free(query);
}

/* settle - the answer is known: give the query back. */
static void settle(struct dns_query *query)
{
    list_remove(&query->link);
    deadline_disarm(&query->deadline);
    mailbox_post(query->reply_to, deliver, query);
}

static void settle_without(struct dns_query *query, enum dns_status status, const char *why)
{
    query->answer = (struct dns_answer){.status = status, .canonical = query->name, .why = why};
    settle(query);
}

/* What is no name at all is not in DNS. */
static void settle_without_result(struct dns_query *query, int error)
{
    settle_without(query, error == UB_SYNTAX ? DNS_NOT_FOUND : DNS_FAILED, ub_strerror(error));
}

static size_t count_records(const struct ub_result *result, size_t *bytes)
{
    size_t count = 0;
    *bytes = 0;
    if (!result->havedata || result->bogus) return 0;
    for (; result->data[count]; count++)
        *bytes += (size_t)result->len[count];
    return count;
}

/* copy_answer - all that the answer points to into one block. */
static void copy_answer(struct dns_query *query, const struct ub_result *result, const char *why)
{
    struct dns_answer *answer = &query->answer;
    const char *canonical = result->canonname ? result->canonname : query->name;
    size_t bytes, name_len = strlen(canonical), why_bytes = strlen(why) + 1;
    const size_t count = count_records(result, &bytes);
    struct dns_record *records = mem_alloc(count * sizeof(struct dns_record) + bytes + name_len + 1 + why_bytes);
    uint8_t *to = (uint8_t *)(records + count);
    for (size_t i = 0; i < count; i++) {
        records[i] = (struct dns_record){.data = to, .len = (size_t)result->len[i]};
        memcpy(to, result->data[i], records[i].len);
        to += records[i].len;
    }
    char *name = (char *)to;
    memcpy(name, canonical, name_len + 1);
    if (name_len > 1 && name[name_len - 1] == '.') name[name_len - 1] = '\0';
    query->block = records;
    answer->records = records;
    answer->count = count;
    answer->secure = result->secure;
    answer->canonical = name;
    answer->why = memcpy(name + name_len + 1, why, why_bytes);
}

static const char *why_failed(int rcode)
{
    static const char *const NAMES[] = {[1] = "the name server says: FORMERR",
                                        [2] = "the name server says: SERVFAIL",
                                        [4] = "the name server says: NOTIMP",
                                        [5] = "the name server says: REFUSED"};
    if (rcode > 0 && (size_t)rcode < ARRAY_LEN(NAMES) && NAMES[rcode]) return NAMES[rcode];
    return "the name server failed";
}

enum { RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

static void take_result(struct dns_query *query, const struct ub_result *result)
{
    struct dns_answer *answer = &query->answer;
    const char *why = "";
    if (result->bogus) {
        answer->status = DNS_BOGUS;
        why = result->why_bogus ? result->why_bogus : "signed, and not valid";
    } else if (result->havedata) {
        answer->status = DNS_OK;
    } else if (result->nxdomain || result->rcode == RCODE_NXDOMAIN) {
        answer->status = DNS_NOT_FOUND;
        why = "there is no such name";
    } else if (result->rcode == RCODE_OK) {
        answer->status = DNS_NOT_FOUND;
        why = "the name has no record of that type";
    } else {
        answer->status = DNS_FAILED;
        why = why_failed(result->rcode);
    }
    copy_answer(query, result, why);
}

static void on_answer(void *arg, int error, struct ub_result *result)
{
    struct dns_query *query = arg;
    CHECK_MAGIC(query, QUERY_MAGIC);
    query->dns->asked_count--;
    if (error != 0 || !result) {
        settle_without_result(query, error);
    } else {
        take_result(query, result);
        settle(query);
    }
    ub_resolve_free(result);
}

/* end_context - what was asked is asked again, before what waits. */
static void end_context(struct dns *dns)
{
    struct list *first = &dns->waiting;
    if (!dns->ctx) return;
    event_free(dns->event);
    dns->event = NULL;
    ub_ctx_delete(dns->ctx);
    dns->ctx = NULL;
    if (list_first(first)) first = list_first(first);
    LIST_EACH (link, &dns->asked) {
        struct dns_query *query = LIST_ENTRY(link, struct dns_query, link);
        deadline_disarm(&query->deadline);
        list_remove(link);
        list_append(first, link); /* before it */
    }
    dns->asked_count = 0;
}

static void pump(struct dns *dns);

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg;
    (void)fd;
    (void)what;
    CHECK_MAGIC(dns, DNS_MAGIC);
    const int error = ub_process(dns->ctx);
    if (error != 0) {
        log_msg(LOG_LEVEL_ERROR, "resolver", "libunbound: %s: beginning anew", ub_strerror(error));
        end_context(dns);
    }
    pump(dns);
}

static int need_context(struct dns *dns, char *why, size_t cap)
{
    const int64_t now_ms = loop_now_ms(dns->loop);
    bool validates = false;
    if (dns->ctx && now_ms - dns->looked_ms >= LOOK_MS) {
        dns->looked_ms = now_ms;
        if (dns_context_is_stale(&dns->files)) end_context(dns);
    }
    if (dns->ctx) return 0;
    dns->ctx = dns_context_new(dns->config, &dns->files, &validates, why, cap);
    if (!dns->ctx) return -1;
    dns->looked_ms = now_ms;
    dns->has_thread = false;
    dns->event = event_new(loop_base(dns->loop), ub_fd(dns->ctx), EV_READ | EV_PERSIST, on_readable, dns);
    CHECK(dns->event && event_add(dns->event, NULL) == 0);
    log_msg(LOG_LEVEL_INFO, "resolver", "asking name servers, %s",
            validates ? "validating their answers" : "believing their answers");
    return 0;
}

/* The thread starts with the first question; signals are the main thread's. */
static int ask(struct dns *dns, struct dns_query *query)
{
    sigset_t all, before;
    sigfillset(&all);
    if (!dns->has_thread) pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = ub_resolve_async(dns->ctx, query->name, (int)query->type, CLASS_IN, query, on_answer, &query->id);
    if (!dns->has_thread) pthread_sigmask(SIG_SETMASK, &before, NULL);
    dns->has_thread = true;
    return error;
}

static void begin_next(struct dns *dns)
{
    char why[128];
    struct dns_query *query = LIST_ENTRY(list_first(&dns->waiting), struct dns_query, link);
    if (atomic_load_explicit(&query->cancelled, memory_order_relaxed)) {
        settle(query);
        return;
    }
    if (need_context(dns, why, sizeof(why)) != 0) {
        log_msg(LOG_LEVEL_ERROR, "resolver", "%s", why);
        settle_without(query, DNS_FAILED, "the resolver could not be set up");
        return;
    }
    const int error = ask(dns, query);
    if (error != 0) {
        settle_without_result(query, error);
        return;
    }
    list_remove(&query->link);
    list_append(&dns->asked, &query->link);
    dns->asked_count++;
    deadline_arm(dns->patience, &query->deadline);
}

static void pump(struct dns *dns)
{
    while (!list_empty(&dns->waiting) && dns->asked_count < MAX_ASKED)
        begin_next(dns);
}

static void on_patience_over(struct deadline *deadline, void *arg)
{
    struct dns *dns = arg;
    struct dns_query *query = CONTAINER_OF(deadline, struct dns_query, deadline);
    CHECK_MAGIC(query, QUERY_MAGIC);
    ub_cancel(dns->ctx, query->id);
    dns->asked_count--;
    settle_without(query, DNS_FAILED, "no answer from the name servers in time");
    pump(dns);
}

static bool is_onion(const char *name)
{
    static const char ONION[] = "onion";
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.') len--;
    const size_t suffix = sizeof(ONION) - 1;
    return len >= suffix && strncasecmp(name + len - suffix, ONION, suffix) == 0 &&
           (len == suffix || name[len - suffix - 1] == '.');
}

/* On the home thread. */
static void begin(void *arg)
{
    struct dns_query *query = arg;
    struct dns *dns = query->dns;
    CHECK_MAGIC(dns, DNS_MAGIC);
    if (dns->stopping) {
        settle_without(query, DNS_FAILED, "the server is stopping");
    } else if (is_onion(query->name)) {
        settle_without(query, DNS_NOT_FOUND, "names ending in .onion are not in DNS");
    } else if (strlen(query->name) > NAME_MAX_BYTES) {
        settle_without(query, DNS_NOT_FOUND, "the name is too long for DNS");
    } else {
        list_append(&dns->waiting, &query->link);
        pump(dns);
    }
}

struct dns_query *dns_ask(struct dns *dns, struct mailbox *reply_to, const char *name, enum dns_type type, dns_fn *fn,
                          void *arg)
{
    struct dns_query *query = MEM_NEW(struct dns_query);
    query->magic = QUERY_MAGIC;
    query->dns = dns;
    query->reply_to = reply_to;
    query->name = mem_strdup(name);
    query->type = type;
    query->fn = fn;
    query->arg = arg;
    mailbox_post(dns->home, begin, query);
    return query;
}

void dns_cancel(struct dns_query **query)
{
    struct dns_query *q = *query;
    if (!q) return;
    CHECK_MAGIC(q, QUERY_MAGIC);
    *query = NULL;
    atomic_store_explicit(&q->cancelled, true, memory_order_relaxed);
}

static int64_t patience_ms(const struct backend_config *config)
{
    return option_int(option_single(config->file, "resolver"), "timeout");
}

struct dns *dns_new(struct backend_config *config, struct loop *loop, struct mailbox *mailbox)
{
    struct dns *dns = MEM_NEW(struct dns);
    dns->magic = DNS_MAGIC;
    dns->loop = loop;
    dns->home = mailbox;
    dns->config = backend_config_ref(config);
    list_init(&dns->waiting);
    list_init(&dns->asked);
    dns->patience = deadline_queue_new(loop, patience_ms(config), on_patience_over, dns);
    return dns;
}

void dns_follow(struct dns *dns, struct backend_config *config)
{
    end_context(dns); /* its files' names are the old configuration's */
    backend_config_unref(&dns->config);
    dns->config = backend_config_ref(config);
    deadline_queue_set_timeout(dns->patience, patience_ms(config));
    pump(dns);
}

void dns_stop(struct dns *dns)
{
    if (dns->stopping) return;
    dns->stopping = true;
    end_context(dns);
    LIST_EACH (link, &dns->waiting)
        settle_without(LIST_ENTRY(link, struct dns_query, link), DNS_FAILED, "the server is stopping");
}

void dns_free(struct dns **dns)
{
    struct dns *r = *dns;
    if (!r) return;
    CHECK_MAGIC(r, DNS_MAGIC);
    *dns = NULL;
    dns_stop(r);
    deadline_queue_free(&r->patience);
    backend_config_unref(&r->config);
    r->magic = 0;
    free(r);
}
