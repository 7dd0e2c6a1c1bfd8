#include "gateway/server_resolve.h"

#include "gateway/resolver.h"
#include "gateway/upstream_log.h"
#include "lib/mem.h"

#include <event2/event.h>
#include <stdlib.h>

struct name {
    struct server_resolve *resolve;
    const struct upstream_config *config;
    const struct server_text *text;
    struct upstream_server *server;
    struct event *timer;
    bool asked;   /* the answer is not there yet */
    bool failing; /* the last answer was none, and this was logged */
};

struct server_resolve {
    struct loop *loop;
    struct resolver *resolver;
    size_t count;
    struct name *names; /* a question's id is the place here */
};

static void ask(struct name *name)
{
    struct server_resolve *resolve = name->resolve;
    int64_t ms = name->config->resolve_interval_ms;
    const struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    evtimer_add(name->timer, &delay);
    name->asked = resolver_ask(resolve->resolver, (uint32_t)(name - resolve->names), name->text->host);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ask(arg);
}

static struct addr with_port(const struct addr *address, uint16_t port)
{
    struct addr out = *address;
    if (out.sa.sa_family == AF_INET6)
        out.in6.sin6_port = htons(port);
    else
        out.in.sin_port = htons(port);
    return out;
}

static void on_answer(void *arg, uint32_t id, const struct addr *addresses, size_t count, const char *error)
{
    struct server_resolve *resolve = arg;
    struct addr present, first;
    char text[ADDR_TEXT_BYTES];
    if (id >= resolve->count) return;
    struct name *name = &resolve->names[id];
    name->asked = false;
    if (error != NULL) {
        if (!name->failing)
            upstream_log(LOG_LEVEL_WARN, "resolve_failed", name->config->name, name->text->name, "error", error);
        name->failing = true;
        return;
    }
    name->failing = false;
    bool known = upstream_address_get(&name->server->address, &present);
    for (size_t i = 0; known && i < count; i++) {
        struct addr same = with_port(&addresses[i], name->text->port);
        if (addr_equal(&same, &present)) return;
    }
    first = with_port(&addresses[0], name->text->port);
    upstream_address_set(&name->server->address, &first);
    upstream_log(LOG_LEVEL_INFO, "server_address", name->config->name, name->text->name, "address",
                 addr_format(&first, ADDR_FULL, text, sizeof(text)));
}

static void add(struct server_resolve *resolve, const struct upstream_config *config, size_t server,
                struct upstream_server *state)
{
    struct name *name = &resolve->names[resolve->count++];
    *name = (struct name){.resolve = resolve, .config = config, .text = &config->servers[server], .server = state};
    name->timer = evtimer_new(loop_base(resolve->loop), on_timer, name);
    CHECK(name->timer != NULL);
}

struct server_resolve *server_resolve_new(struct loop *loop, struct upstream_state *state, const char *user,
                                          const char *group)
{
    struct server_resolve *resolve = MEM_NEW(struct server_resolve);
    size_t count = 0;
    resolve->loop = loop;
    resolve->resolver = resolver_new(loop, user, group, on_answer, resolve);
    for (size_t i = 0; i < upstream_state_count(state); i++)
        count += upstream_state_config(state, i)->server_count;
    resolve->names = mem_alloc((count + 1) * sizeof(*resolve->names));
    for (size_t i = 0; i < upstream_state_count(state); i++) {
        const struct upstream_config *config = upstream_state_config(state, i);
        for (size_t s = 0; s < config->server_count; s++)
            if (config->servers[s].host != NULL) add(resolve, config, s, &upstream_state_servers(state, i)[s]);
    }
    for (size_t i = 0; i < resolve->count; i++)
        ask(&resolve->names[i]);
    return resolve;
}

void server_resolve_free(struct server_resolve **resolve)
{
    struct server_resolve *old = *resolve;
    *resolve = NULL;
    if (old == NULL) return;
    for (size_t i = 0; i < old->count; i++)
        event_free(old->names[i].timer);
    resolver_free(&old->resolver);
    free(old->names);
    free(old);
}

void server_resolve_wait(struct server_resolve *resolve, int64_t timeout_ms)
{
    int64_t end_ms = loop_now_ms(resolve->loop) + timeout_ms;
    for (size_t i = 0; i < resolve->count; i++) {
        while (resolve->names[i].asked && atomic_load(&resolve->names[i].server->address.known) == 0) {
            int64_t left_ms = end_ms - loop_now_ms(resolve->loop);
            if (left_ms <= 0 || !resolver_wait(resolve->resolver, left_ms)) return;
        }
    }
}
