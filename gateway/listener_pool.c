#include "gateway/listener_pool.h"

#include "gateway/listener.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct listener_pool *listener_pool_new(void)
{
    struct listener_pool *pool = MEM_NEW(struct listener_pool);
    list_init(&pool->sockets);
    pool->next_id = 1;
    return pool;
}

static void remove_listener(struct listener *listener)
{
    if (listener->fd >= 0) close(listener->fd);
    list_remove(&listener->link);
    free(listener);
}

void listener_pool_free(struct listener_pool **pool)
{
    struct listener_pool *old = *pool;
    *pool = NULL;
    if (old == NULL) return;
    LIST_EACH (link, &old->sockets)
        remove_listener(LIST_ENTRY(link, struct listener, link));
    free(old);
}

static struct listener *add(struct listener_pool *pool, int fd, const char *address, size_t slot,
                            const struct endpoint *bound)
{
    struct listener *listener = MEM_NEW(struct listener);
    listener->id = pool->next_id++;
    listener->fd = fd;
    listener->slot = slot;
    listener->bound = *bound;
    snprintf(listener->address, sizeof(listener->address), "%s", address);
    list_append(&pool->sockets, &listener->link);
    return listener;
}

void listener_pool_restore(struct listener_pool *pool, int fd, const char *address, size_t slot, bool passed,
                           const struct endpoint *bound, uint64_t id)
{
    struct listener *listener = add(pool, fd, address, slot, bound);
    listener->passed = passed;
    listener->id = id;
    if (id >= pool->next_id) pool->next_id = id + 1;
}

static void log_listening(const struct listener_config *config, const struct endpoint *bound, bool passed)
{
    struct log_line line;
    char text[ENDPOINT_TEXT_BYTES];
    log_begin(&line, LOG_LEVEL_INFO, "listening");
    log_str(&line, "listener", config->name);
    log_str(&line, "address", endpoint_format(bound, text, sizeof(text)));
    if (passed) log_str(&line, "from", "service manager");
    log_end(&line);
}

/* Ours are shared among ourselves: that their address is taken says nothing. */
static bool overlaps_ours(const struct listener_pool *pool, const struct endpoint *at)
{
    LIST_EACH (link, &pool->sockets) {
        const struct listener *listener = LIST_ENTRY(link, struct listener, link);
        if (!listener->passed && addr_overlaps(&listener->bound.ip, &at->ip)) return true;
    }
    return false;
}

/* Sockets for the slots that have none yet.  What is there of the address comes first in the list, slot by slot. */
static int open_slots(struct listener_pool *pool, const struct listener_config *config, const struct endpoint *at,
                      size_t slots, bool first)
{
    char text[ENDPOINT_TEXT_BYTES];
    struct endpoint bound = *at;
    size_t have = 0;
    endpoint_format(at, text, sizeof(text));
    LIST_EACH (link, &pool->sockets) {
        struct listener *listener = LIST_ENTRY(link, struct listener, link);
        if (strcmp(listener->address, text) != 0) continue;
        if (listener->passed && !listener->wanted && first) log_listening(config, &listener->bound, true);
        if (listener->passed) have = slots; /* one for all */
        listener->wanted = true;
        bound = listener->bound;
        have++;
    }
    if (have == 0 && addr_port(&at->ip) != 0 && !overlaps_ours(pool, at) && listener_check_free(config, at, first) < 0)
        return -1;
    for (size_t slot = have; slot < slots; slot++) {
        /* Port 0 is the kernel's choice for the first, and then the same for all. */
        int fd = listener_open(config, &bound, &bound);
        if (fd < 0) return -1;
        struct listener *listener = add(pool, fd, text, slot, &bound);
        listener->fresh = listener->wanted = true;
        if (slot == 0) log_listening(config, &bound, false);
    }
    return 0;
}

int listener_pool_prepare(struct listener_pool *pool, const struct gateway_config *config, bool first, char *why,
                          size_t cap)
{
    LIST_EACH (link, &pool->sockets)
        LIST_ENTRY(link, struct listener, link)->wanted = false;
    for (size_t l = 0; l < config->listener_count; l++) {
        const struct listener_config *listener = &config->listeners[l];
        for (size_t a = 0; a < listener->address_count; a++) {
            const struct endpoint *at = listener_config_address(listener, a);
            if (open_slots(pool, listener, at, config->workers, first) == 0) continue;
            listener_explain(at, errno, why, cap);
            listener_pool_rollback(pool);
            return -1;
        }
    }
    return 0;
}

static const struct listener_config *find_config(const struct gateway_config *config, const char *address)
{
    char text[ENDPOINT_TEXT_BYTES];
    for (size_t l = 0; l < config->listener_count; l++) {
        const struct listener_config *listener = &config->listeners[l];
        for (size_t a = 0; a < listener->address_count; a++) {
            endpoint_format(listener_config_address(listener, a), text, sizeof(text));
            if (strcmp(text, address) == 0) return listener;
        }
    }
    return NULL;
}

json_t *listener_pool_commit(struct listener_pool *pool, const struct gateway_config *config)
{
    json_t *removed = json_array();
    LIST_EACH (link, &pool->sockets) {
        struct listener *listener = LIST_ENTRY(link, struct listener, link);
        listener->fresh = false;
        if (listener->wanted) {
            listener_tune(listener->fd, find_config(config, listener->address));
        } else if (!listener->passed) {
            json_array_append_new(removed, json_integer((json_int_t)listener->id));
            if (listener->slot == 0) log_msg(LOG_LEVEL_INFO, "not_listening", "%s was given up", listener->address);
            remove_listener(listener);
        }
    }
    return removed;
}

void listener_pool_rollback(struct listener_pool *pool)
{
    LIST_EACH (link, &pool->sockets) {
        struct listener *listener = LIST_ENTRY(link, struct listener, link);
        if (listener->fresh) remove_listener(listener);
    }
}

void listener_pool_close(struct listener_pool *pool)
{
    LIST_EACH (link, &pool->sockets) {
        struct listener *listener = LIST_ENTRY(link, struct listener, link);
        if (!listener->passed) remove_listener(listener);
    }
}

static size_t count_slots(const struct listener_pool *pool, const char *address, bool fresh)
{
    size_t count = 0;
    LIST_EACH (link, &pool->sockets) {
        const struct listener *listener = LIST_ENTRY(link, struct listener, link);
        if ((fresh || !listener->fresh) && strcmp(listener->address, address) == 0) count++;
    }
    return count;
}

/* Every worker has as many for itself; those that do not divide belong to all. */
static bool is_for(const struct listener *listener, size_t slots, size_t worker, size_t workers)
{
    return listener->slot >= slots / workers * workers || listener->slot % workers == worker;
}

struct listener_set *listener_pool_give(struct listener_pool *pool, const struct gateway_config *config, size_t worker,
                                        bool fresh)
{
    struct listener_set *set = MEM_NEW(struct listener_set);
    LIST_EACH (link, &pool->sockets) {
        struct listener *listener = LIST_ENTRY(link, struct listener, link);
        const struct listener_config *wants = find_config(config, listener->address);
        if (wants == NULL || (listener->fresh && !fresh)) continue;
        if (!is_for(listener, count_slots(pool, listener->address, fresh), worker, config->workers)) continue;
        set->sockets = mem_realloc(set->sockets, (set->count + 1) * sizeof(*set->sockets));
        set->sockets[set->count++] = (struct listener_socket){.config = wants, .id = listener->id, .fd = listener->fd};
        listener->fd = -1;
    }
    return set;
}

void listener_set_free(struct listener_set **set)
{
    struct listener_set *old = *set;
    *set = NULL;
    if (old == NULL) return;
    for (size_t i = 0; i < old->count; i++)
        if (old->sockets[i].fd >= 0) close(old->sockets[i].fd);
    free(old->sockets);
    free(old);
}
