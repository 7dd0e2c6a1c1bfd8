#include "backend/remote_waiting.h"

#include "backend/remote.h"
#include "backend/remote_refusal.h"
#include "backend/remote_route.h"
#include "backend/shard.h"
#include "backend/subscription.h"

enum {
    WAITING_MAX_BYTES = 1024 * 1024,  /* in memory, for a stream that is being set up */
    FAREWELLS_MAX_BYTES = 128 * 1024, /* likewise, for a domain that cannot be reached */
};

bool remote_waiting_is_presence(const struct stanza *stanza)
{
    return stanza->kind == STANZA_PRESENCE && !subscription_is(stanza);
}

static struct stanza *next_waiting(struct remote_route *route, struct list *link)
{
    struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
    list_remove(link);
    route->waiting_bytes -= arena_bytes(stanza->elem->arena);
    return stanza;
}

void remote_waiting_store(struct remote_route *route)
{
    deadline_disarm(&route->promise);
    LIST_EACH (link, &route->waiting)
        if (remote_queue_keeps(LIST_ENTRY(link, struct stanza, link)))
            remote_queue_add(route, next_waiting(route, link));
}

void remote_waiting_on_promise(struct deadline *deadline, void *shard)
{
    (void)shard;
    remote_waiting_store(remote_route_of(CONTAINER_OF(deadline, struct remote_route, promise)));
}

void remote_waiting_take(struct remote_route *route, struct list *out)
{
    deadline_disarm(&route->promise);
    LIST_EACH (link, &route->waiting)
        list_append(out, &next_waiting(route, link)->link);
}

void remote_waiting_farewell(struct remote_route *route, struct stanza *stanza)
{
    const size_t bytes = arena_bytes(stanza->elem->arena);
    if (route->farewell_bytes + bytes > FAREWELLS_MAX_BYTES) {
        shard_count(route->remote->shard, COUNTER_STANZAS_DROPPED);
        stanza_free(&stanza);
        return;
    }
    route->farewell_bytes += bytes;
    list_append(&route->farewells, &stanza->link);
}

void remote_waiting_put_off(struct remote_route *route, struct stanza *stanza)
{
    route->presence_owed = true;
    if (stanza->type == STANZA_UNAVAILABLE) {
        remote_waiting_farewell(route, stanza);
    } else {
        stanza_free(&stanza);
    }
}

void remote_waiting_take_farewells(struct remote_route *route, struct list *out)
{
    route->farewell_bytes = 0;
    LIST_EACH (link, &route->farewells) {
        list_remove(link);
        list_append(out, link);
    }
}

void remote_waiting_add(struct remote_route *route, struct stanza *stanza)
{
    const bool keeps = remote_queue_keeps(stanza);
    const size_t bytes = arena_bytes(stanza->elem->arena);
    if (keeps && (route->queue.count > 0 || route->waiting_bytes + bytes > WAITING_MAX_BYTES)) {
        remote_waiting_store(route);
        remote_queue_add(route, stanza);
    } else if (route->queue.count > 0 && remote_waiting_is_presence(stanza)) {
        remote_waiting_put_off(route, stanza);
    } else if (route->waiting_bytes + bytes > WAITING_MAX_BYTES) {
        remote_refusal_answer(route, stanza, S2S_CROWDED);
    } else {
        route->waiting_bytes += bytes;
        list_append(&route->waiting, &stanza->link);
        if (keeps && !list_linked(&route->promise.link))
            deadline_arm(route->remote->shard->remotes->connecting, &route->promise);
    }
}

static void drop_all(struct list *stanzas)
{
    LIST_EACH (link, stanzas) {
        struct stanza *stanza = LIST_ENTRY(link, struct stanza, link);
        list_remove(link);
        stanza_free(&stanza);
    }
}

void remote_waiting_drop_farewells(struct remote_route *route)
{
    drop_all(&route->farewells);
    route->farewell_bytes = 0;
}

void remote_waiting_drop(struct remote_route *route)
{
    deadline_disarm(&route->promise);
    drop_all(&route->waiting);
    remote_waiting_drop_farewells(route);
}
