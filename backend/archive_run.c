#include "backend/archive_run.h"

#include "backend/archive.h"
#include "backend/archive_query.h"
#include "backend/delay.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/rsm.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/stanza_id.h"
#include "backend/store.h"
#include "backend/user.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAITING_MAX = 128,       /* queries of one session */
    NAMES_MAX = 2048,        /* bytes of what a query is called, in each of its results: a UUID has 36 */
    SLICE_BYTES = 64 * 1024, /* of texts that are read at once, but for the last of them */
    SLICE_MESSAGES = 32
};

static const char START[] = "<message ";

/* As much of a message as is known before it is read. */
struct archive_line {
    uint64_t id;
    int64_t stamp_ms;
    size_t len;
};

struct archive_run {
    struct archive_run *next; /* of the same session */
    struct user *user;
    struct session *session; /* NULL: it has left meanwhile */
    struct stanza *request;  /* as much of it as is needed: see keep_request */
    struct archive_query query;
    bool metadata;
    bool busy;   /* the store is asked, or the session is sent something: it may leave by it, the run stays */
    bool listed; /* what follows is known */
    bool complete;
    uint64_t total;
    uint64_t first, last;       /* ids; 0: the page is empty */
    struct archive_line *lines; /* in the order of sending */
    size_t count, sent;
};

static void run_free(struct archive_run *run)
{
    stanza_free(&run->request);
    archive_query_free(&run->query);
    free(run->lines);
    free(run);
}

static void ask(struct archive_run *run, const struct store_archive_query *query, store_archive_page_fn *fn)
{
    struct shard *shard = run->user->shard;
    run->busy = true;
    user_pin(run->user);
    store_archive_get(shard->backend->store, shard->mailbox, run->user->bare, query, fn, run);
}

static void start(struct archive_run *run);

/* finish - the first run of the session is over. */
static void finish(struct archive_run *run)
{
    struct session *session = run->session;
    if (session) session->archive = run->next;
    run_free(run);
    if (session && session->archive) start(session->archive);
}

/* end_after_answer - the answer may have ended the session, which has forgotten the run then. */
static void end_after_answer(struct archive_run *run)
{
    if (run->session) {
        finish(run);
    } else {
        run_free(run);
    }
}

static void refuse(struct archive_run *run, enum stanza_error condition)
{
    run->busy = true;
    stanza_error_answer(run->user->shard, run->request, condition, NULL);
    end_after_answer(run);
}

static void answer(struct archive_run *run, struct stanza *reply)
{
    run->busy = true;
    reply->ephemeral = true;
    session_send(run->session, reply); /* not by the router: it comes behind the messages */
    stanza_free(&reply);
    end_after_answer(run);
}

static void answer_query(struct archive_run *run)
{
    char first[STANZA_ID_BYTES], last[STANZA_ID_BYTES];
    const struct store_archive_query *query = &run->query.store;
    struct stanza *reply = stanza_reply(run->request, "result");
    struct elem *fin = elem_add(reply->elem, NS_MAM, "fin");
    struct rsm_page page = {0};
    if (run->complete) elem_set(fin, "complete", "true");
    if (run->first != 0) {
        page.first = stanza_id_write(run->first, first);
        page.last = stanza_id_write(run->last, last);
    }
    /* otherwise the whole archive would have to be read for it */
    const bool whole = run->complete && query->page_after == 0 && query->page_before == 0;
    page.has_count = query->total || whole;
    page.count = query->total ? run->total : run->count;
    page.has_index = whole;
    rsm_add(fin, &page);
    answer(run, reply);
}

static void add_end(struct elem *metadata, const char *name, const struct archive_line *line)
{
    char id[STANZA_ID_BYTES], stamp[DELAY_STAMP_BYTES];
    struct elem *elem = elem_add(metadata, NULL, name);
    elem_set(elem, "id", stanza_id_write(line->id, id));
    elem_set(elem, "timestamp", delay_stamp_exact(line->stamp_ms, stamp));
}

static void answer_metadata(struct archive_run *run)
{
    struct stanza *reply = stanza_reply(run->request, "result");
    struct elem *metadata = elem_add(reply->elem, NS_MAM, "metadata");
    if (run->count > 0) {
        add_end(metadata, "start", &run->lines[0]);
        add_end(metadata, "end", &run->lines[run->count - 1]);
    }
    answer(run, reply);
}

/* Sending */

static void print_result(const struct archive_run *run, const struct store_archived *entry, struct buf *out)
{
    char id[STANZA_ID_BYTES], stamp[DELAY_STAMP_BYTES];
    const char *queryid = elem_get(elem_child(run->request->elem, NS_MAM, NULL), "queryid");
    const char *bare = run->user->bare, *full = run->session->jid->full;
    buf_append_str(out, "<message from='");
    elem_escape(bare, strlen(bare), out);
    buf_append_str(out, "' to='");
    elem_escape(full, strlen(full), out);
    buf_append_str(out, "'><result xmlns='" NS_MAM "'");
    if (queryid) {
        buf_append_str(out, " queryid='");
        elem_escape(queryid, strlen(queryid), out);
        buf_append_str(out, "'");
    }
    buf_printf(out, " id='%s'><forwarded xmlns='" NS_FORWARD "'>", stanza_id_write(entry->id, id));
    buf_printf(out, "<delay xmlns='" NS_DELAY "' stamp='%s'/>", delay_stamp_exact(entry->stamp_ms, stamp));
    buf_append_str(out, "<message xmlns='" NS_CLIENT "' ");
    buf_append(out, entry->text + sizeof(START) - 1, entry->len - (sizeof(START) - 1));
    buf_append_str(out, "</forwarded></result></message>");
}

static void send_entry(struct archive_run *run, const struct store_archived *entry)
{
    if (entry->len < sizeof(START) || memcmp(entry->text, START, sizeof(START) - 1) != 0) {
        log_msg(LOG_LEVEL_ERROR, "store_tampered", "archive of %s: number %llu is not what this program writes",
                run->user->bare, (unsigned long long)entry->id);
        return;
    }
    struct buf out = {0};
    struct stanza *stanza = stanza_new(elem_new(arena_new(), NS_CLIENT, "message"));
    CHECK(stanza);
    print_result(run, entry, &out);
    stanza->ephemeral = true;
    stanza->text = (const char *)buf_data(&out);
    stanza->text_len = buf_len(&out);
    session_send(run->session, stanza);
    stanza_free(&stanza);
    buf_free(&out);
}

static const struct store_archived *entry_of(const struct store_archive_page *page, uint64_t id)
{
    for (size_t i = 0; i < page->count; i++)
        if (page->entries[i].id == id) return &page->entries[i];
    return NULL;
}

static void go_on(struct archive_run *run);

/* The lines from sent on, which may be more than were read, up to one that was not or that the client has no room for.
 * One that is not there any more has just become too old. */
static void on_texts(enum store_status status, const struct store_archive_page *page, void *arg)
{
    struct archive_run *run = arg;
    struct user *user = run->user;
    const size_t end = run->sent + run->query.store.id_count; /* see read_slice */
    while (status == STORE_OK && run->session && run->sent < end && !session_is_behind(run->session)) {
        const struct store_archived *entry = entry_of(page, run->lines[run->sent++].id);
        if (entry) send_entry(run, entry);
    }
    run->busy = false;
    if (!run->session) {
        run_free(run);
    } else if (status != STORE_OK) {
        refuse(run, STANZA_ERROR_INTERNAL_SERVER_ERROR);
    } else {
        go_on(run);
    }
    user_unpin(user);
}

static void read_slice(struct archive_run *run)
{
    uint64_t ids[SLICE_MESSAGES];
    size_t count = 0, bytes = 0;
    while (count < SLICE_MESSAGES && run->sent + count < run->count && bytes < SLICE_BYTES) {
        const struct archive_line *line = &run->lines[run->sent + count];
        ids[count++] = line->id;
        bytes += line->len;
    }
    const struct store_archive_query query = {.ids = ids, .id_count = count, .max = count};
    run->query.store.id_count = count;
    ask(run, &query, on_texts);
}

static void go_on(struct archive_run *run)
{
    if (run->busy || !run->listed || session_is_behind(run->session)) return;
    if (run->metadata) {
        answer_metadata(run);
    } else if (run->sent == run->count) {
        answer_query(run);
    } else {
        read_slice(run);
    }
}

/* Finding out */

static void add_lines(struct archive_run *run, const struct store_archive_page *page)
{
    run->lines = mem_realloc(run->lines, (run->count + page->count + 1) * sizeof(struct archive_line));
    for (size_t i = 0; i < page->count; i++) {
        const struct store_archived *entry = &page->entries[i];
        run->lines[run->count++] = (struct archive_line){entry->id, entry->stamp_ms, entry->len};
    }
}

static void flip(struct archive_run *run)
{
    for (size_t i = 0; i < run->count / 2; i++) {
        const struct archive_line line = run->lines[i];
        run->lines[i] = run->lines[run->count - 1 - i];
        run->lines[run->count - 1 - i] = line;
    }
}

static void on_listed(enum store_status status, const struct store_archive_page *page, void *arg);

/* Of the first message is known: now for the last. */
static void list_last(struct archive_run *run)
{
    const struct store_archive_query last = {.max = 1, .backwards = true, .brief = true};
    run->query.store.backwards = true;
    ask(run, &last, on_listed);
}

static void take_list(struct archive_run *run, const struct store_archive_page *page)
{
    add_lines(run, page);
    if (run->metadata && !run->query.store.backwards) {
        list_last(run);
        return;
    }
    run->listed = true;
    run->complete = !page->more && (run->query.store.max > 0 || page->total == 0);
    run->total = page->total;
    if (run->count > 0) {
        run->first = run->lines[0].id;
        run->last = run->lines[run->count - 1].id;
    }
    if (run->query.flip) flip(run);
    go_on(run);
}

static void on_listed(enum store_status status, const struct store_archive_page *page, void *arg)
{
    struct archive_run *run = arg;
    struct user *user = run->user;
    run->busy = false;
    if (!run->session) {
        run_free(run);
    } else if (status != STORE_OK) {
        refuse(run, STANZA_ERROR_INTERNAL_SERVER_ERROR);
    } else if (page->missing) {
        refuse(run, STANZA_ERROR_ITEM_NOT_FOUND);
    } else {
        take_list(run, page);
    }
    user_unpin(user);
}

static void start(struct archive_run *run)
{
    if (run->query.nothing) {
        run->listed = run->complete = true;
        go_on(run);
        return;
    }
    archive_flush(run->user->shard);
    struct store_archive_query query = run->query.store;
    query.brief = true;
    if (run->metadata) query.max = 1;
    ask(run, &query, on_listed);
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

/* keep_request - the addresses and the names; what else a client has written may be large.  NULL: so are the names. */
static struct stanza *keep_request(const struct stanza *request)
{
    const char *id = elem_get(request->elem, "id");
    const char *queryid = elem_get(elem_child(request->elem, NS_MAM, NULL), "queryid");
    if (length(id) + length(queryid) > NAMES_MAX) return NULL;
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "iq");
    elem_set(elem, "type", elem_get(request->elem, "type"));
    elem_set(elem, "id", id);
    elem_set(elem_add(elem, NS_MAM, "query"), "queryid", queryid);
    struct stanza *kept = stanza_new(elem);
    CHECK(kept);
    stanza_address(kept, jid_dup(request->from), jid_dup(request->to));
    return kept;
}

void archive_run_begin(struct user *user, struct session *session, const struct stanza *request,
                       struct archive_query *query)
{
    struct archive_run **place = &session->archive;
    size_t waiting = 0;
    for (; *place; place = &(*place)->next)
        waiting++;
    struct archive_run *run = MEM_NEW(struct archive_run);
    if (query) {
        run->query = *query;
        *query = (struct archive_query){0};
    }
    run->user = user;
    run->session = session;
    run->request = keep_request(request);
    run->metadata = query == NULL;
    if (run->request && waiting < WAITING_MAX) {
        *place = run;
        if (waiting == 0) start(run);
        return;
    }
    if (run->request) {
        stanza_error_answer(user->shard, request, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many queries wait");
    } else {
        stanza_error_answer(user->shard, request, STANZA_ERROR_POLICY_VIOLATION, "too long an id");
    }
    run_free(run);
}

void archive_run_continue(struct session *session)
{
    if (session->archive) go_on(session->archive);
}

void archive_run_end(struct session *session)
{
    while (session->archive) {
        struct archive_run *run = session->archive;
        session->archive = run->next;
        run->session = NULL;
        if (!run->busy) run_free(run); /* else the answer finds nobody */
    }
}
