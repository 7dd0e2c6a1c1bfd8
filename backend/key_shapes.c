#include "backend/key_shapes.h"

#include "backend/backend.h"
#include "backend/scram.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Asking about a million accounts takes the store a second. */
enum { KEPT = 32, AGAIN_MS = 5 * 60 * 1000, ALL_HASHES = (1 << STORE_HASHES) - 1 };

struct waiter {
    struct list link;
    key_shapes_fn *fn;
    void *arg;
};

struct host_shapes {
    struct key_shapes *all;
    char *domain;
    struct store_shape shapes[KEPT]; /* the most frequent ones */
    size_t count;
    uint64_t accounts; /* of those */
    unsigned hashes;   /* that all have */
};

/* lock guards by_domain and what is in it. */
struct key_shapes {
    struct backend *backend;
    struct loop *loop;
    struct mailbox *mailbox;
    struct deadline_queue *queue; /* shard 0 */
    struct deadline again;        /* likewise */
    unsigned asked;               /* likewise: answers to come */
    bool waited_for;              /* likewise */
    struct list waiters;          /* likewise: struct waiter, link; none when nothing is asked */
    pthread_mutex_t lock;
    struct map *by_domain; /* struct host_shapes */
};

static struct host_shapes *find(const struct key_shapes *shapes, const char *domain)
{
    return map_get_str(shapes->by_domain, domain);
}

static struct host_shapes *find_or_make(struct key_shapes *shapes, const char *domain)
{
    struct host_shapes *host = find(shapes, domain);
    if (host) return host;
    host = MEM_NEW(struct host_shapes);
    host->all = shapes;
    host->domain = mem_strdup(domain);
    host->hashes = ALL_HASHES;
    map_set_str(shapes->by_domain, domain, host);
    return host;
}

static unsigned hashes_of(const struct store_shape *shape)
{
    unsigned hashes = 0;
    for (int hash = 0; hash < STORE_HASHES; hash++)
        if (shape->iterations[hash] > 0) hashes |= 1U << hash;
    return hashes;
}

static void log_lacking(const char *domain, unsigned hashes)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "scram_hashes");
    log_str(&line, "host", domain);
    for (int hash = 0; hash < STORE_HASHES; hash++)
        if (!(hashes & 1U << hash)) log_str(&line, "not_offered", scram_hash_name(hash));
    log_str(&line, "msg", "some accounts have no keys for it until they log in by PLAIN, or change their password");
    log_end(&line);
}

static void on_all_known(struct key_shapes *shapes)
{
    if (shapes->waited_for) loop_stop(shapes->loop);
    struct list *link;
    while (shapes->asked == 0 && (link = list_first(&shapes->waiters)) != NULL) {
        struct waiter *waiter = LIST_ENTRY(link, struct waiter, link);
        list_remove(link);
        waiter->fn(waiter->arg);
        loop_defer_free(shapes->loop, waiter);
    }
}

static void on_shapes(enum store_status status, const struct store_shape *shapes, size_t count, void *arg)
{
    struct host_shapes *host = arg;
    struct key_shapes *all = host->all;
    pthread_mutex_lock(&all->lock);
    const unsigned before = host->hashes;
    if (status == STORE_OK) {
        host->hashes = ALL_HASHES;
        host->accounts = 0;
        host->count = count < KEPT ? count : KEPT;
        for (size_t i = 0; i < count; i++)
            host->hashes &= hashes_of(&shapes[i]);
        for (size_t i = 0; i < host->count; i++) {
            host->shapes[i] = shapes[i];
            host->accounts += shapes[i].accounts;
        }
    }
    const unsigned now = host->hashes;
    pthread_mutex_unlock(&all->lock);
    if (now != before && now != ALL_HASHES) log_lacking(host->domain, now);
    if (--all->asked == 0) on_all_known(all);
}

void key_shapes_load(struct key_shapes *shapes, const char *domain)
{
    if (backend_is_stopping(shapes->backend)) return;
    pthread_mutex_lock(&shapes->lock);
    struct host_shapes *host = find_or_make(shapes, domain);
    pthread_mutex_unlock(&shapes->lock);
    shapes->asked++;
    store_account_shapes(shapes->backend->store, shapes->mailbox, domain, on_shapes, host);
}

void key_shapes_wait(struct key_shapes *shapes)
{
    shapes->waited_for = true;
    if (shapes->asked > 0) loop_run(shapes->loop);
    shapes->waited_for = false;
}

void key_shapes_when_known(struct key_shapes *shapes, key_shapes_fn *fn, void *arg)
{
    if (shapes->asked == 0) {
        fn(arg);
        return;
    }
    struct waiter *waiter = MEM_NEW(struct waiter);
    waiter->fn = fn;
    waiter->arg = arg;
    list_append(&shapes->waiters, &waiter->link);
}

static bool list_domain(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    struct host_shapes ***end = arg;
    *(*end)++ = value;
    return true;
}

static bool count_domain(const void *key, size_t key_len, void *value, void *arg)
{
    (void)key;
    (void)key_len;
    (void)value;
    ++*(size_t *)arg;
    return true;
}

/* Hosts are never taken out, so the pointers stay good without the lock. */
static void on_again(struct deadline *deadline, void *arg)
{
    struct key_shapes *shapes = arg;
    (void)deadline;
    size_t count = 0;
    pthread_mutex_lock(&shapes->lock);
    map_each(shapes->by_domain, count_domain, &count);
    struct host_shapes **hosts = mem_alloc(count * sizeof(struct host_shapes *)), **end = hosts;
    map_each(shapes->by_domain, list_domain, &end);
    pthread_mutex_unlock(&shapes->lock);
    for (size_t i = 0; i < count; i++)
        key_shapes_load(shapes, hosts[i]->domain);
    free(hosts);
}

static void on_arm(void *arg)
{
    struct key_shapes *shapes = arg;
    if (!list_linked(&shapes->again.link)) deadline_arm(shapes->queue, &shapes->again);
}

struct key_shapes *key_shapes_new(struct backend *backend, struct loop *loop, struct mailbox *mailbox)
{
    struct key_shapes *shapes = MEM_NEW(struct key_shapes);
    shapes->backend = backend;
    shapes->loop = loop;
    shapes->mailbox = mailbox;
    shapes->queue = deadline_queue_new(loop, AGAIN_MS, on_again, shapes);
    pthread_mutex_init(&shapes->lock, NULL);
    shapes->by_domain = map_new();
    list_init(&shapes->waiters);
    return shapes;
}

static bool free_host(const void *key, size_t key_len, void *value, void *arg)
{
    struct host_shapes *host = value;
    (void)key;
    (void)key_len;
    (void)arg;
    free(host->domain);
    free(host);
    return true;
}

void key_shapes_free(struct key_shapes **shapes)
{
    struct key_shapes *s = *shapes;
    if (!s) return;
    *shapes = NULL;
    deadline_queue_free(&s->queue);
    map_each(s->by_domain, free_host, NULL);
    map_free(&s->by_domain);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct late_load {
    struct key_shapes *shapes;
    char *domain;
};

static void on_late_load(void *arg)
{
    struct late_load *late = arg;
    key_shapes_load(late->shapes, late->domain);
    free(late->domain);
    free(late);
}

/* A host that was added by a reload: accounts may wait there from an earlier time.  Holds the lock. */
static struct host_shapes *find_or_ask(struct key_shapes *shapes, const char *domain)
{
    struct host_shapes *host = find(shapes, domain);
    if (host) return host;
    struct late_load *late = MEM_NEW(struct late_load);
    late->shapes = shapes;
    late->domain = mem_strdup(domain);
    mailbox_post(shapes->mailbox, on_late_load, late);
    return find_or_make(shapes, domain);
}

unsigned key_shapes_hashes(struct key_shapes *shapes, const char *domain)
{
    pthread_mutex_lock(&shapes->lock);
    const unsigned hashes = find_or_ask(shapes, domain)->hashes;
    pthread_mutex_unlock(&shapes->lock);
    return hashes;
}

static struct store_shape usual(uint32_t iterations)
{
    struct store_shape shape = {.accounts = 1};
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        shape.iterations[hash] = iterations;
        shape.salt_len[hash] = SCRAM_SALT_BYTES;
    }
    return shape;
}

/* The dice fall on a line as long as there are accounts: when some come or go, few names change their shape. */
static struct store_shape choose(const struct host_shapes *host, uint64_t dice)
{
    double at = (double)dice / 18446744073709551616.0 * (double)host->accounts;
    size_t i = 0;
    for (; i + 1 < host->count && at >= (double)host->shapes[i].accounts; i++)
        at -= (double)host->shapes[i].accounts;
    return host->shapes[i];
}

struct store_shape key_shapes_choose(struct key_shapes *shapes, const char *domain, uint64_t dice, uint32_t iterations)
{
    pthread_mutex_lock(&shapes->lock);
    const struct host_shapes *host = find_or_ask(shapes, domain);
    const struct store_shape shape = host->count > 0 ? choose(host, dice) : usual(iterations);
    pthread_mutex_unlock(&shapes->lock);
    return shape;
}

static void add_shape(struct host_shapes *host, const struct store_shape *shape)
{
    host->hashes &= hashes_of(shape);
    size_t i = 0;
    while (i < host->count && memcmp(host->shapes[i].iterations, shape->iterations, sizeof(shape->iterations)) != 0)
        i++;
    if (i == KEPT) return;
    if (i == host->count) {
        host->shapes[host->count] = *shape;
        host->shapes[host->count++].accounts = 0;
    }
    host->shapes[i].accounts++;
    host->accounts++;
}

void key_shapes_changed(struct key_shapes *shapes, const char *domain, const struct store_scram_keys *keys)
{
    struct store_shape shape = {0};
    for (int hash = 0; keys && hash < STORE_HASHES; hash++) {
        if (keys[hash].key_len == 0) continue;
        shape.iterations[hash] = keys[hash].iterations;
        shape.salt_len[hash] = keys[hash].salt_len;
    }
    pthread_mutex_lock(&shapes->lock);
    if (hashes_of(&shape) != 0) add_shape(find_or_ask(shapes, domain), &shape);
    pthread_mutex_unlock(&shapes->lock);
    mailbox_post(shapes->mailbox, on_arm, shapes);
}
