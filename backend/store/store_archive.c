#include "backend/store/store_call.h"

#include <stdlib.h>
#include <string.h>

/* So many entries are looked at before others are served again: about a millisecond.  In a batch, whose writes all
 * wait for each other, it is less: what most pages need.  One that is read costs as much as some that are not. */
enum { SCAN_ROWS = 2000, BATCH_ROWS = 300, ROW_BYTES = 512 };

struct add_call {
    struct store_call call;
    const char *owner;
    struct store_archived entry;
    store_done_fn *fn;
};

static void run_add(const struct store_engine *engine, void *state, struct store_call *call)
{
    const struct add_call *mine = CONTAINER_OF(call, struct add_call, call);
    call->status = engine->archive_add(state, mine->owner, &mine->entry);
}

static void answer_add(struct store_call *call)
{
    CONTAINER_OF(call, struct add_call, call)->fn(call->status, call->arg);
}

void store_archive_add(struct store *store, struct mailbox *reply_to, const char *owner,
                       const struct store_archived *entry, store_done_fn *fn, void *arg)
{
    struct add_call *call = store_call_new(sizeof *call, reply_to, arg);
    struct arena *arena = call->call.arena;

    call->owner = arena_strdup(arena, owner);
    call->entry = *entry;
    call->entry.with_bare = arena_strdup(arena, entry->with_bare);
    call->entry.with_resource = arena_strdup(arena, entry->with_resource);
    call->entry.text = arena_strndup(arena, entry->text, entry->len);
    call->fn = fn;
    call->call.run = run_add;
    call->call.answer = answer_add;
    store_call_post(store, &call->call);
    store_archive_seen(store);
}

struct last_call {
    struct store_call call;
    const char *owner;
    uint64_t id;
    store_added_fn *fn;
};

static void run_last(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct last_call *mine = CONTAINER_OF(call, struct last_call, call);
    call->status = engine->archive_last(state, mine->owner, &mine->id);
}

static void answer_last(struct store_call *call)
{
    const struct last_call *mine = CONTAINER_OF(call, struct last_call, call);
    mine->fn(call->status, call->status == STORE_OK ? mine->id : 0, call->arg);
}

void store_archive_last(struct store *store, struct mailbox *reply_to, const char *owner, store_added_fn *fn, void *arg)
{
    struct last_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->owner = arena_strdup(call->call.arena, owner);
    call->fn = fn;
    call->call.run = run_last;
    call->call.reads = true;
    call->call.answer = answer_last;
    store_call_post(store, &call->call);
}

/* A query is answered range by range, each in as many steps as it takes. */
struct get_call {
    struct store_call call;
    const struct store_engine *engine;
    void *state;
    const char *owner;
    struct store_archive_query query;
    uint64_t *ids;                  /* those of the query, ascending */
    size_t next_id, ranges;         /* how many were read */
    uint64_t low, high;             /* the whole result lies between */
    uint64_t page_low, page_high;   /* and the page */
    struct store_archive_scan scan; /* the range that is being read */
    struct store_archive_found found;
    struct store_archive_page page;
    store_archive_page_fn *fn;
};

bool store_archive_scan_see(struct store_archive_scan *scan, uint64_t id, const char *with_bare,
                            const char *with_resource)
{
    if (scan->backwards)
        scan->high = id - 1;
    else
        scan->low = id + 1;
    scan->rows--;
    return scan->fn(scan, id, with_bare, with_resource) && scan->rows > 0;
}

static bool matches(const struct store_archive_query *query, const char *with_bare, const char *with_resource)
{
    if (query->with_bare && strcmp(query->with_bare, with_bare) != 0) return false;
    return !query->with_resource || strcmp(query->with_resource, with_resource) == 0;
}

/* fetch - an entry for the page. */
static void fetch(struct get_call *mine, uint64_t id)
{
    struct store_archive_scan *scan = &mine->scan;

    mine->call.status = mine->engine->archive_fetch(mine->state, mine->owner, id, &mine->found);
    if (mine->call.status != STORE_OK) return;
    const size_t cost = mine->found.items[mine->found.count - 1].len / ROW_BYTES;
    scan->rows -= cost < scan->rows ? cost : scan->rows;
}

static bool on_seen(struct store_archive_scan *scan, uint64_t id, const char *with_bare, const char *with_resource)
{
    struct get_call *mine = CONTAINER_OF(scan, struct get_call, scan);
    const struct store_archive_query *query = &mine->query;

    if (!matches(query, with_bare, with_resource)) return true;
    mine->page.total++;
    if (id < mine->page_low || id > mine->page_high || mine->page.more) return true;
    mine->page.more = mine->found.count == query->max;
    if (!mine->page.more) fetch(mine, id);
    return mine->call.status == STORE_OK && (query->total || !mine->page.more);
}

static bool on_there(struct store_archive_scan *scan, uint64_t id, const char *with_bare, const char *with_resource)
{
    (void)id;
    (void)with_bare;
    (void)with_resource;
    scan->rows = 0;
    return false;
}

/* note_missing - whether an id that the query names is there. */
static void note_missing(struct get_call *mine, uint64_t id)
{
    struct store_archive_scan scan = {.low = id, .high = id, .rows = 1, .fn = on_there};

    if (id == 0 || mine->call.status != STORE_OK) return;
    mine->call.status = mine->engine->archive_scan(mine->state, mine->owner, &scan);
    if (scan.rows > 0) mine->page.missing = true;
}

/* exclude - from a range what is not between two ids. */
static void exclude(uint64_t after, uint64_t before, uint64_t *low, uint64_t *high)
{
    if (after >= *low) *low = after < UINT64_MAX ? after + 1 : after;
    if (before > 0 && before <= *high) *high = before - 1;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* next_range - what is to be read next; false: nothing is left. */
static bool next_range(struct get_call *mine)
{
    const struct store_archive_query *query = &mine->query;
    const bool first = mine->ranges++ == 0;

    mine->scan.ended = false;
    mine->scan.low = query->total ? mine->low : mine->page_low;
    mine->scan.high = query->total ? mine->high : mine->page_high;
    if (!query->ids) return first && mine->scan.low <= mine->scan.high;
    while (mine->next_id < query->id_count) {
        const size_t place = mine->next_id++;
        const uint64_t id = mine->ids[query->backwards ? query->id_count - 1 - place : place];
        if (id < mine->scan.low || id > mine->scan.high) continue;
        mine->scan.low = mine->scan.high = id;
        return true;
    }
    return false;
}

/* sort_ids - each once. */
static void sort_ids(struct get_call *mine)
{
    const size_t count = mine->query.id_count;
    size_t kept = 0;

    if (count > 0) qsort(mine->ids, count, sizeof *mine->ids, compare_ids);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || mine->ids[kept - 1] != mine->ids[i]) mine->ids[kept++] = mine->ids[i];
    mine->query.id_count = kept;
}

static void begin_get(struct get_call *mine)
{
    const struct store_archive_query *query = &mine->query;
    const uint64_t named[] = {query->after, query->before, query->page_after, query->page_before};

    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        note_missing(mine, named[i]);
    sort_ids(mine);
    for (size_t i = 0; i < query->id_count; i++)
        note_missing(mine, mine->ids[i]);
    mine->low = query->from;
    mine->high = query->to > 0 ? query->to : UINT64_MAX;
    exclude(query->after, query->before, &mine->low, &mine->high);
    mine->page_low = mine->low;
    mine->page_high = mine->high;
    exclude(query->page_after, query->page_before, &mine->page_low, &mine->page_high);
    mine->scan = (struct store_archive_scan){.backwards = query->backwards, .ended = true, .fn = on_seen};
}

/* read_some - false when all is read, or something has failed. */
static bool read_some(struct get_call *mine, size_t rows)
{
    struct store_archive_scan *scan = &mine->scan;

    scan->rows = rows;
    do {
        if ((scan->ended || scan->low > scan->high) && !next_range(mine)) return false;
        const enum store_status status = mine->engine->archive_scan(mine->state, mine->owner, scan);
        if (mine->call.status == STORE_OK) mine->call.status = status;
        if (mine->call.status != STORE_OK || (mine->page.more && !mine->query.total)) return false;
    } while (scan->rows > 0);
    return true;
}

static bool step_get(const struct store_engine *engine, void *state, struct store_call *call, bool stopping)
{
    (void)engine;
    (void)state;
    if (!stopping) return read_some(CONTAINER_OF(call, struct get_call, call), SCAN_ROWS);
    call->status = STORE_FAILED;
    return false;
}

/* The first step is part of the batch: most queries need no other. */
static void run_get(const struct store_engine *engine, void *state, struct store_call *call)
{
    struct get_call *mine = CONTAINER_OF(call, struct get_call, call);

    mine->engine = engine;
    mine->state = state;
    begin_get(mine);
    if (call->status == STORE_OK && read_some(mine, BATCH_ROWS)) call->step = step_get;
}

static void turn_round(struct store_archived *items, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        const struct store_archived item = items[i];
        items[i] = items[count - 1 - i];
        items[count - 1 - i] = item;
    }
}

static void answer_get(struct store_call *call)
{
    struct get_call *mine = CONTAINER_OF(call, struct get_call, call);

    if (mine->query.backwards) turn_round(mine->found.items, mine->found.count);
    mine->page.entries = mine->found.items;
    mine->page.count = mine->found.count;
    if (!mine->query.total) mine->page.total = 0;
    mine->fn(call->status, call->status == STORE_OK ? &mine->page : NULL, call->arg);
}

static const char *copy_or_null(struct arena *arena, const char *text)
{
    return text ? arena_strdup(arena, text) : NULL;
}

void store_archive_get(struct store *store, struct mailbox *reply_to, const char *owner,
                       const struct store_archive_query *query, store_archive_page_fn *fn, void *arg)
{
    struct get_call *call = store_call_new(sizeof *call, reply_to, arg);
    struct arena *arena = call->call.arena;

    call->owner = arena_strdup(arena, owner);
    call->query = *query;
    call->query.with_bare = copy_or_null(arena, query->with_bare);
    call->query.with_resource = copy_or_null(arena, query->with_resource);
    if (query->ids) {
        call->ids = arena_alloc(arena, (query->id_count + 1) * sizeof *call->ids);
        memcpy(call->ids, query->ids, query->id_count * sizeof *call->ids);
        call->query.ids = call->ids;
    }
    call->found.arena = arena;
    call->found.brief = query->brief;
    call->fn = fn;
    call->call.run = run_get;
    call->call.answer = answer_get;
    store_call_post(store, &call->call);
}
