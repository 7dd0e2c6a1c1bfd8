#include "gateway/upstream_state.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE_BYTES = 64 };

/* The memory: all servers; then for each worker, beginning at a line of its own, its cells and then what waits. */
struct upstream_state {
    const struct upstream_config *upstreams;
    size_t count, workers;
    size_t *first; /* by upstream: its first server; one more entry: how many servers there are */
    size_t size_bytes, worker_bytes;
    struct upstream_server *servers;
    char *cells;
};

static size_t whole_lines(size_t bytes)
{
    return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static void *map_shared(size_t size_bytes)
{
    int fd = memfd_create("postern-upstreams", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(ftruncate(fd, (off_t)size_bytes) == 0);
    void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

struct upstream_state *upstream_state_new(const struct upstream_config *upstreams, size_t count, size_t workers)
{
    struct upstream_state *state = MEM_NEW(struct upstream_state);
    state->upstreams = upstreams;
    state->count = count;
    state->workers = workers;
    state->first = mem_alloc((count + 1) * sizeof(*state->first));
    for (size_t i = 0; i < count; i++)
        state->first[i + 1] = state->first[i] + upstreams[i].server_count;
    size_t servers = state->first[count];
    state->worker_bytes = whole_lines(servers * sizeof(struct upstream_cell) + count * sizeof(_Atomic uint32_t));
    state->size_bytes = servers * sizeof(struct upstream_server) + workers * state->worker_bytes + LINE_BYTES;
    state->servers = map_shared(state->size_bytes);
    state->cells = (char *)(state->servers + servers);
    for (size_t i = 0; i < servers; i++)
        atomic_store(&state->servers[i].weight, -1);
    return state;
}

void upstream_state_free(struct upstream_state **state)
{
    struct upstream_state *old = *state;
    *state = NULL;
    if (old == NULL) return;
    munmap(old->servers, old->size_bytes);
    free(old->first);
    free(old);
}

struct upstream_server *upstream_state_servers(const struct upstream_state *state, size_t upstream)
{
    CHECK(upstream < state->count);
    return &state->servers[state->first[upstream]];
}

static struct upstream_cell *cells_of(const struct upstream_state *state, size_t worker)
{
    CHECK(worker < state->workers);
    return (struct upstream_cell *)(void *)(state->cells + worker * state->worker_bytes);
}

struct upstream_cell *upstream_state_cells(const struct upstream_state *state, size_t worker, size_t upstream)
{
    CHECK(upstream < state->count);
    return cells_of(state, worker) + state->first[upstream];
}

_Atomic uint32_t *upstream_state_waiting(const struct upstream_state *state, size_t worker, size_t upstream)
{
    CHECK(upstream < state->count);
    return (_Atomic uint32_t *)(void *)(cells_of(state, worker) + state->first[state->count]) + upstream;
}

uint32_t upstream_state_connections(const struct upstream_state *state, size_t upstream, size_t server)
{
    uint32_t sum = 0;
    for (size_t w = 0; w < state->workers; w++)
        sum +=
            atomic_load_explicit(&upstream_state_cells(state, w, upstream)[server].connections, memory_order_relaxed);
    return sum;
}

uint32_t upstream_state_all_connections(const struct upstream_state *state, size_t upstream)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < state->upstreams[upstream].server_count; i++)
        sum += upstream_state_connections(state, upstream, i);
    return sum;
}

uint32_t upstream_state_all_waiting(const struct upstream_state *state, size_t upstream)
{
    uint32_t sum = 0;
    for (size_t w = 0; w < state->workers; w++)
        sum += atomic_load_explicit(upstream_state_waiting(state, w, upstream), memory_order_relaxed);
    return sum;
}

struct upstream_totals upstream_state_totals(const struct upstream_state *state, size_t upstream, size_t server)
{
    const struct upstream_server *shared = &upstream_state_servers(state, upstream)[server];
    struct upstream_totals totals = {.begun = atomic_load(&shared->earlier_total),
                                     .failed = atomic_load(&shared->earlier_failures)};
    for (size_t w = 0; w < state->workers; w++) {
        const struct upstream_cell *cell = &upstream_state_cells(state, w, upstream)[server];
        totals.begun += atomic_load_explicit(&cell->total, memory_order_relaxed);
        totals.failed += atomic_load_explicit(&cell->failures, memory_order_relaxed);
    }
    return totals;
}

void upstream_state_bury(struct upstream_state *state, size_t worker)
{
    struct upstream_cell *cells = cells_of(state, worker);
    for (size_t i = 0; i < state->first[state->count]; i++)
        atomic_store(&cells[i].connections, 0);
    for (size_t i = 0; i < state->count; i++)
        atomic_store(upstream_state_waiting(state, worker, i), 0);
}

int upstream_state_index(const struct upstream_state *state, const char *title)
{
    for (size_t i = 0; i < state->count; i++)
        if (strcmp(state->upstreams[i].name, title) == 0) return (int)i;
    return -1;
}

int upstream_state_server_index(const struct upstream_state *state, size_t upstream, const char *name)
{
    const struct upstream_config *config = upstream_state_config(state, upstream);
    for (size_t i = 0; i < config->server_count; i++)
        if (strcmp(config->servers[i].name, name) == 0) return (int)i;
    return -1;
}

size_t upstream_state_count(const struct upstream_state *state)
{
    return state->count;
}

const struct upstream_config *upstream_state_config(const struct upstream_state *state, size_t upstream)
{
    CHECK(upstream < state->count);
    return &state->upstreams[upstream];
}

uint32_t upstream_state_weight(const struct upstream_server *server, const struct server_text *config)
{
    int32_t weight = atomic_load_explicit(&server->weight, memory_order_relaxed);
    return weight < 0 ? config->weight : (uint32_t)weight;
}

void upstream_address_set(struct upstream_address *address, const struct addr *to)
{
    uint64_t words[4] = {0};
    _Static_assert(sizeof(*to) <= sizeof(words), "an address has grown");
    memcpy(words, to, sizeof(*to));
    uint32_t version = atomic_load_explicit(&address->version, memory_order_relaxed);
    atomic_store_explicit(&address->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        atomic_store_explicit(&address->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&address->known, 1, memory_order_relaxed);
    atomic_store_explicit(&address->version, version + 2, memory_order_release);
}

bool upstream_address_get(const struct upstream_address *address, struct addr *out)
{
    uint64_t words[4];
    uint32_t before, after;
    do {
        before = atomic_load_explicit(&address->version, memory_order_acquire);
        if (atomic_load_explicit(&address->known, memory_order_relaxed) == 0) return false;
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            words[i] = atomic_load_explicit(&address->words[i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&address->version, memory_order_relaxed);
    } while (before != after || (before & 1) != 0);
    memcpy(out, words, sizeof(*out));
    return true;
}
