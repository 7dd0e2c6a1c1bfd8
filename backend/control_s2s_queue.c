#include "backend/control_s2s_queue.h"

#include "backend/control_s2s.h"
#include "backend/delay.h"
#include "backend/elem_parse.h"
#include "backend/jid.h"
#include "backend/remote.h"
#include "backend/remote_route.h"
#include "backend/shard.h"
#include "backend/shard_tour.h"
#include "backend/store.h"

#include <stdlib.h>
#include <string.h>

enum { SLICE = 200 };

/* A question about one domain, on its shard; the answer is given on shard 0. */
struct asked {
    struct control_request *request;
    struct backend *backend;
    struct shard *shard; /* the domain's */
    char domain[JID_PART_MAX_BYTES + 1];
    json_t *list;
    char **owners; /* queues that are still to be read, last first */
    size_t owner_count;
    uint64_t after;
    bool bounce, failed;
    json_int_t count, live;
};

static void asked_free(struct asked *asked)
{
    for (size_t i = 0; i < asked->owner_count; i++)
        free(asked->owners[i]);
    free(asked->owners);
    json_decref(asked->list);
    free(asked);
}

/* All queues, in numbers */

static void add_queue(struct remote *remote, void *arg)
{
    const struct asked *asked = arg;
    LIST_EACH (link, &remote->routes) {
        const struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
        char oldest[DELAY_STAMP_BYTES];
        if (route->queue.count == 0) continue;
        json_array_append_new(asked->list, json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "domain", remote->domain,
                                                     "local", route->local, "messages", (json_int_t)route->queue.count,
                                                     "bytes", (json_int_t)route->queue.bytes, "oldest",
                                                     delay_stamp(route->queue.oldest_ms, oldest), "state",
                                                     remote_state_name(route->state)));
    }
}

static void count_shard(struct shard *shard, void *arg)
{
    remotes_each(shard, add_queue, arg);
}

static void on_listed(void *arg)
{
    struct asked *asked = arg;
    if (asked->failed)
        control_fail(asked->request, "internal", "the store cannot be read; see the log");
    else
        control_reply(asked->request, json_incref(asked->list));
    asked_free(asked);
}

/* The entries of one domain */

static void add_entry(struct asked *asked, const struct store_entry *entry)
{
    char stamp[DELAY_STAMP_BYTES];
    struct elem *elem = elem_parse(&asked->shard->parser, entry->text, entry->len);
    json_array_append_new(asked->list,
                          json_pack("{s:I, s:s?, s:s?, s:s?, s:s?, s:s?, s:s, s:I}", "number", (json_int_t)entry->id,
                                    "kind", elem ? elem->name : NULL, "type", elem ? elem_get(elem, "type") : NULL,
                                    "from", elem ? elem_get(elem, "from") : NULL, "to",
                                    elem ? elem_get(elem, "to") : NULL, "id", elem ? elem_get(elem, "id") : NULL,
                                    "stamp", delay_stamp(entry->stamp_ms, stamp), "bytes", (json_int_t)entry->len));
    elem_free(&elem);
}

static void read_next(struct asked *asked);

static void on_entries(enum store_status status, const struct store_entry *entries, size_t count, void *arg)
{
    struct asked *asked = arg;
    for (size_t i = 0; status == STORE_OK && i < count; i++)
        add_entry(asked, &entries[i]);
    asked->failed = asked->failed || status != STORE_OK;
    if (status == STORE_OK && count == SLICE) {
        asked->after = entries[count - 1].id;
    } else {
        asked->after = 0;
        free(asked->owners[--asked->owner_count]);
    }
    read_next(asked);
}

static void read_next(struct asked *asked)
{
    if (asked->owner_count == 0) {
        mailbox_post(asked->backend->shards[0]->mailbox, on_listed, asked);
        return;
    }
    store_queue_get(asked->backend->store, asked->shard->mailbox, asked->owners[asked->owner_count - 1], STORE_REMOTE,
                    asked->after, SLICE, on_entries, asked);
}

static void add_owner(struct asked *asked, const struct remote_route *route)
{
    asked->owners = mem_realloc(asked->owners, (asked->owner_count + 1) * sizeof(char *));
    asked->owners[asked->owner_count++] = remote_queue_owner(route);
}

static void list_domain(void *arg)
{
    struct asked *asked = arg;
    const struct remote *remote = remote_find(asked->shard, asked->domain);
    if (remote) {
        LIST_EACH (link, &remote->routes) {
            const struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
            if (route->queue.count > 0) add_owner(asked, route);
        }
    }
    read_next(asked);
}

static struct asked *asked_new(struct control_request *request, struct backend *backend)
{
    struct asked *asked = MEM_NEW(struct asked);
    asked->request = request;
    asked->backend = backend;
    asked->list = json_array();
    return asked;
}

void control_s2s_queue_list(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct asked *asked = asked_new(request, backend);
    bool given = false;
    if (!control_s2s_domain(request, asked->domain, &given)) {
        asked_free(asked);
    } else if (given) {
        asked->shard = shard_of(backend, asked->domain);
        mailbox_post(asked->shard->mailbox, list_domain, asked);
    } else {
        shard_tour(backend, count_shard, backend->shards[0]->mailbox, on_listed, asked);
    }
}

/* Throwing away */

static void on_purged(void *arg)
{
    struct asked *asked = arg;
    if (asked->count > 0)
        control_reply(asked->request, json_pack("{s:I}", "messages", asked->count));
    else if (asked->live > 0)
        control_fail(asked->request, "unavailable",
                     "there is a stream to %s, and its messages are on their way: posternctl s2s close %s first",
                     asked->domain, asked->domain);
    else
        control_fail(asked->request, "not-found", "nothing waits for %s", asked->domain);
    asked_free(asked);
}

static void purge(void *arg)
{
    struct asked *asked = arg;
    struct remote *remote = remote_find(asked->shard, asked->domain);
    if (remote) {
        LIST_EACH (link, &remote->routes) {
            const struct remote_route *route = LIST_ENTRY(link, struct remote_route, link);
            const json_int_t waiting = (json_int_t)route->queue.count;
            *(route->state == REMOTE_LIVE ? &asked->live : &asked->count) += waiting;
        }
        if (asked->count > 0) remote_purge(remote, NULL, asked->bounce);
    }
    mailbox_post(asked->backend->shards[0]->mailbox, on_purged, asked);
}

void control_s2s_queue_purge(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct asked *asked = asked_new(request, backend);
    if (!control_s2s_domain(request, asked->domain, NULL)) {
        asked_free(asked);
        return;
    }
    asked->bounce = json_is_true(json_object_get(control_args(request), "bounce"));
    asked->shard = shard_of(backend, asked->domain);
    mailbox_post(asked->shard->mailbox, purge, asked);
}
