#include "backend/import.h"

#include "backend/backend_config.h"
#include "backend/host.h"
#include "backend/import_user.h"
#include "backend/key_shapes.h"
#include "backend/lockout.h"
#include "backend/pie_reader.h"
#include "backend/scram.h"
#include "backend/shard.h"
#include "backend/user.h"
#include "backend/user_call.h"
#include "backend/xml.h"
#include "lib/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 16 * 1024,
    WORKING_MAX = 32, /* users at once that are hashed or stored: they share a commit */
};

/* Invariant: at its end when done is set, and nothing is waiting or working. */
struct import {
    struct shard *here;
    int fd;
    char *host; /* prepared; NULL: all */
    bool replace, skip, dry_run;
    uint32_t iterations; /* for plain passwords */
    bool done;           /* the document is read, or not to be read any further */
    struct pie_reader *reader;
    struct xml *parser;
    struct import_report report;
    char *elsewhere;     /* the host that was noted last as not served */
    struct list waiting; /* struct one, link */
    unsigned working;    /* users that are hashed or stored */
    bool turning;        /* a turn is posted, or running */
    char why[512];       /* why it has ended early; "": it has not */
    import_fn *fn;
    void *arg;
};

struct one {
    struct list link;
    struct import *import;
    struct import_user *user;
};

static void go_on(struct import *import);

/* Which mechanisms can be offered is known when the import is over, not only when it is asked about the next time. */
static void refresh(const struct host *host, void *arg)
{
    const struct import *import = arg;
    key_shapes_load(import->here->backend->key_shapes, host->domain);
}

static void tell_end(void *arg)
{
    struct import *import = arg;
    json_t *report = import_report_json(&import->report);
    if (import->why[0]) json_object_set_new(report, "fault", json_string(import->why));
    import->fn(report, import->arg);
    pie_reader_free(&import->reader);
    if (import->parser) xml_free(&import->parser);
    close(import->fd);
    free(import->host);
    free(import->elsewhere);
    free(import);
}

static void end(struct import *import)
{
    struct key_shapes *shapes = import->here->backend->key_shapes;
    if (import->dry_run || shapes == NULL) {
        tell_end(import);
        return;
    }
    hosts_each(shard_hosts(import->here), refresh, import);
    key_shapes_when_known(shapes, tell_end, import);
}

static void stop(struct import *import, const char *why)
{
    if (!import->why[0]) snprintf(import->why, sizeof(import->why), "%s", why);
    import->done = true;
}

static void one_free(struct one *one)
{
    import_user_free(&one->user);
    free(one);
}

static void one_end(struct one *one)
{
    struct import *import = one->import;
    one_free(one);
    import->working--;
    go_on(import);
}

static void fail(struct one *one, const char *text)
{
    one->import->report.counts[IMPORT_FAILED]++;
    import_user_note(one->user, "%s: it was not imported", text);
}

static void count(struct one *one)
{
    struct import_report *report = &one->import->report;
    report->counts[IMPORT_ACCOUNTS]++;
    for (int i = IMPORT_CONTACTS; i < IMPORT_COUNTS; i++)
        report->counts[i] += one->user->counts[i];
}

/* What others have to know of an account that is durable. */
static void tell(const struct one *one)
{
    struct backend *backend = one->import->here->backend;
    const struct jid *jid = one->user->jid;
    if (backend->key_shapes) key_shapes_changed(backend->key_shapes, jid->domain, one->user->account.keys);
    if (!one->import->replace) {
        user_appeared(shard_of(backend, jid->bare), jid->bare);
        return;
    }
    lockout_forgive_account(backend->lockout, jid->bare);
    user_end_streams(shard_of(backend, jid->bare), jid->bare, "reset", NULL);
}

static void settle(struct one *one, enum store_status status)
{
    struct import *import = one->import;
    if (status == STORE_OK) {
        count(one);
    } else if (status == STORE_EXISTS && import->skip) {
        import->report.counts[IMPORT_EXISTING]++;
    } else if (status == STORE_EXISTS) {
        fail(one, "there is such an account already");
    } else if (status == STORE_FULL) {
        fail(one, "the disk is full");
        stop(import, "the disk is full");
    } else {
        fail(one, "the store failed, see the log");
    }
}

static void on_put(enum store_status status, void *arg)
{
    struct one *one = arg;
    if (status == STORE_OK) tell(one);
    settle(one, status);
    one_end(one);
}

/* All that a trial asks the store: is there such an account? */
static void on_looked(enum store_status status, const struct store_account *account, void *arg)
{
    struct one *one = arg;
    const bool replace = one->import->replace;
    (void)account;
    if (status == STORE_OK || status == STORE_NOT_FOUND)
        status = status == STORE_OK && !replace ? STORE_EXISTS : STORE_OK;
    settle(one, status);
    one_end(one);
}

static void put(struct one *one)
{
    const struct import *import = one->import;
    const struct import_user *user = one->user;
    const struct store_whole whole = {.account = &user->account,
                                      .records = user->records,
                                      .record_count = user->record_count,
                                      .queue = STORE_OFFLINE,
                                      .entries = user->entries,
                                      .entry_count = user->entry_count,
                                      .replace = import->replace};
    struct store *store = import->here->backend->store;
    if (import->dry_run) {
        store_account_get(store, import->here->mailbox, user->account.local, user->account.domain, on_looked, one);
    } else {
        store_account_put(store, import->here->mailbox, &whole, on_put, one);
    }
}

static void hash(void *arg)
{
    struct one *one = arg;
    struct import_user *user = one->user;
    scram_make_keys(user->password, one->import->iterations, user->account.keys);
}

static void on_hashed(void *arg)
{
    put(arg);
}

static void on_dropped(void *arg)
{
    fail(arg, "the server is too busy with passwords, or stops");
    one_end(arg);
}

static void work(struct one *one)
{
    struct import *import = one->import;
    import->working++;
    if (one->user->password[0] == '\0' || import->dry_run) {
        put(one);
        return;
    }
    const struct offload_job job = {
        .reply_to = import->here->mailbox, .work = hash, .done = on_hashed, .dropped = on_dropped, .arg = one};
    if (offload_post(import->here->backend->offload, &job) != 0) on_dropped(one);
}

static void note(struct import *import, const char *about, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void note(struct import *import, const char *about, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    import_report_note(&import->report, about, fmt, args);
    va_end(args);
}

/* Whether accounts of that host are imported: once for each host it is said why not. */
static bool is_wanted(struct import *import, const char *domain)
{
    const bool wanted = !import->host || strcmp(import->host, domain) == 0;
    if (wanted && hosts_find(shard_hosts(import->here), domain)) return true;
    import->report.counts[IMPORT_ELSEWHERE]++;
    if (import->elsewhere && strcmp(import->elsewhere, domain) == 0) return false;
    free(import->elsewhere);
    import->elsewhere = mem_strdup(domain);
    if (wanted) note(import, domain, "that host is not served here: its accounts are left out");
    return false;
}

static void on_user(struct pie_user *read, void *arg)
{
    struct import *import = arg;
    const char *name = elem_get(read->elem, "name"), *why = NULL;
    char domain[JID_PART_MAX_BYTES + 1];
    if (jid_prepare_domain(read->host, domain, NULL) != 0) snprintf(domain, sizeof(domain), "%.200s", read->host);
    if (!is_wanted(import, domain)) return;
    struct jid *jid = name && *name ? jid_new(name, domain, NULL, &why) : NULL;
    if (!jid || read->fault) {
        char *about = mem_asprintf("%.200s@%s (%s)", name ? name : "", domain, read->place);
        note(import, about, "%s: it was not imported", read->fault ? read->fault : why ? why : "it has no name");
        import->report.counts[IMPORT_FAILED]++;
        free(about);
        jid_free(&jid);
        return;
    }
    struct one *one = MEM_NEW(struct one);
    one->import = import;
    one->user = import_user_new(read->elem, jid, read->place, &import->parser, &import->report);
    list_append(&import->waiting, &one->link);
}

static void read_piece(struct import *import)
{
    char piece[PIECE_BYTES], why[256];
    const ssize_t len = read(import->fd, piece, sizeof(piece));
    if (len < 0 && errno == EINTR) return;
    if (len < 0) {
        stop(import, strerror(errno));
        return;
    }
    if (pie_reader_feed(import->reader, piece, (size_t)len, len == 0, why, sizeof(why)) != 0) stop(import, why);
    if (len == 0) import->done = true;
    mem_wipe(piece, sizeof(piece));
}

static void drop_waiting(struct import *import)
{
    LIST_EACH (link, &import->waiting) {
        list_remove(link);
        one_free(LIST_ENTRY(link, struct one, link));
        import->report.counts[IMPORT_FAILED]++;
    }
}

static void begin_waiting(struct import *import)
{
    LIST_EACH (link, &import->waiting) {
        if (import->working >= WORKING_MAX) break;
        list_remove(link);
        work(LIST_ENTRY(link, struct one, link));
    }
}

static void turn(void *arg)
{
    struct import *import = arg;
    if (backend_is_stopping(import->here->backend)) stop(import, "the server stops");
    if (!import->done && list_empty(&import->waiting)) read_piece(import);
    if (import->why[0]) {
        drop_waiting(import);
    } else {
        begin_waiting(import);
    }
    import->turning = false;
    go_on(import);
}

/* Another turn when there is room for more, or the end. */
static void go_on(struct import *import)
{
    const bool more = !import->done || !list_empty(&import->waiting);
    if (import->turning) return;
    if (more && import->working < WORKING_MAX) {
        import->turning = true;
        mailbox_post(import->here->mailbox, turn, import);
    } else if (!more && import->working == 0) {
        end(import);
    }
}

void import_start(struct shard *here, const struct import_order *order, import_fn *fn, void *arg)
{
    struct import *import = MEM_NEW(struct import);
    *import = (struct import){.here = here,
                              .fd = order->fd,
                              .host = mem_strdup(order->host),
                              .replace = order->replace,
                              .skip = order->skip,
                              .dry_run = order->dry_run,
                              .iterations = shard_config(here)->scram_iterations,
                              .fn = fn,
                              .arg = arg};
    list_init(&import->waiting);
    import_report_init(&import->report);
    import->reader = pie_reader_new(on_user, import);
    go_on(import);
}
