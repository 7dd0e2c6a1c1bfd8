#include "backend/adhoc.h"

#include "backend/data_form.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words of adhoc.def. */
enum adhoc_who { USER, ADMIN, OWNER };

struct adhoc_row {
    const char *node, *name;
    enum adhoc_who who;
    adhoc_form_fn *form; /* NULL: done at once */
    adhoc_run_fn *run;
};

static const struct adhoc_row ROWS[] = {
#define ADHOC(node, name, who, form, run)   {node, name, who, form, run},
#define ADHOC_AT_ONCE(node, name, who, run) {node, name, who, NULL, run},
#include "backend/adhoc.def"
#undef ADHOC
#undef ADHOC_AT_ONCE
};

enum { ID_BYTES = 33 };

/* A command whose form is with the user. */
struct adhoc_session {
    struct list link; /* oldest first */
    struct deadline deadline;
    struct adhoc_sessions *all;
    const struct adhoc_row *row;
    char id[ID_BYTES];
    struct jid *who;
};

struct adhoc_sessions {
    struct list list;
    size_t count;
    struct deadline_queue *lives;
};

static void session_end(struct adhoc_session *session)
{
    session->all->count--;
    list_remove(&session->link);
    deadline_disarm(&session->deadline);
    jid_free(&session->who);
    free(session);
}

static void on_expired(struct deadline *deadline, void *arg)
{
    (void)arg;
    session_end(CONTAINER_OF(deadline, struct adhoc_session, deadline));
}

static struct adhoc_sessions *sessions_of(struct shard *shard)
{
    if (shard->adhoc) return shard->adhoc;
    shard->adhoc = MEM_NEW(struct adhoc_sessions);
    list_init(&shard->adhoc->list);
    shard->adhoc->lives = deadline_queue_new(shard->loop, ADHOC_LIFE_MS, on_expired, NULL);
    return shard->adhoc;
}

void adhoc_forget(struct shard *shard)
{
    if (!shard->adhoc) return;
    LIST_EACH (link, &shard->adhoc->list)
        session_end(LIST_ENTRY(link, struct adhoc_session, link));
    deadline_queue_free(&shard->adhoc->lives);
    free(shard->adhoc);
    shard->adhoc = NULL;
}

/* An id can be told from one that we have never given, also when its session is gone: half of it is a keyed hash of
 * the rest, who got it and for what. */
static void make_id(const struct backend *backend, uint64_t number, const struct jid *who, const struct adhoc_row *row,
                    char out[ID_BYTES])
{
    uint64_t key[2];
    memcpy(key, backend->secret, sizeof(key));
    char *text = mem_asprintf("%016llx\n%s\n%s", (unsigned long long)number, who->full, row->node);
    snprintf(out, ID_BYTES, "%016llx%016llx", (unsigned long long)number,
             (unsigned long long)hash_keyed(key, text, strlen(text)));
    free(text);
}

static bool is_genuine(const struct backend *backend, const char *id, const struct jid *who,
                       const struct adhoc_row *row)
{
    char again[ID_BYTES];
    if (strlen(id) != ID_BYTES - 1) return false;
    char half[ID_BYTES / 2 + 1];
    snprintf(half, sizeof(half), "%.*s", ID_BYTES / 2, id);
    const uint64_t number = strtoull(half, NULL, 16); /* what is no number has another hash */
    make_id(backend, number, who, row, again);
    return strcmp(id, again) == 0;
}

/* NULL: there are too many. */
static struct adhoc_session *session_new(struct shard *shard, const struct jid *who, const struct adhoc_row *row)
{
    struct adhoc_sessions *all = sessions_of(shard);
    struct adhoc_session *oldest = NULL;
    unsigned count = 0;
    LIST_EACH (link, &all->list) {
        struct adhoc_session *other = LIST_ENTRY(link, struct adhoc_session, link);
        if (!jid_bare_equal(other->who, who)) continue;
        if (!oldest) oldest = other;
        count++;
    }
    if (count >= ADHOC_MAX_OF_USER) session_end(oldest);
    if (all->count >= ADHOC_MAX_OF_SHARD) return NULL;
    struct adhoc_session *session = MEM_NEW(struct adhoc_session);
    uint64_t number = 0;
    CHECK(RAND_bytes((unsigned char *)&number, sizeof(number)) == 1);
    make_id(shard->backend, number, who, row, session->id);
    session->all = all;
    session->row = row;
    session->who = jid_dup(who);
    list_append(&all->list, &session->link);
    deadline_arm(all->lives, &session->deadline);
    all->count++;
    return session;
}

static struct adhoc_session *session_get(struct shard *shard, const char *id, const struct jid *who,
                                         const struct adhoc_row *row)
{
    LIST_EACH (link, &sessions_of(shard)->list) {
        struct adhoc_session *session = LIST_ENTRY(link, struct adhoc_session, link);
        if (strcmp(session->id, id) == 0 && session->row == row && jid_equal(session->who, who)) return session;
    }
    return NULL;
}

static const struct adhoc_row *find(const char *node)
{
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (strcmp(ROWS[i].node, node) == 0) return &ROWS[i];
    return NULL;
}

struct ownership {
    const char *bare;
    bool whole;
};

static void check_owner(const struct host *host, void *arg)
{
    struct ownership *ownership = arg;
    ownership->whole &= host_is_admin(host, ownership->bare);
}

static bool may(const struct adhoc_row *row, const struct host *host, const char *bare)
{
    struct ownership ownership = {bare, true};
    const char *domain = strchr(bare, '@');
    switch (row->who) {
    case OWNER:
        hosts_each(host->hosts, check_owner, &ownership);
        return ownership.whole;
    case ADMIN:
        return host_is_admin(host, bare);
    case USER:
        return domain && strcmp(domain + 1, host->domain) == 0;
    }
    return false;
}

void adhoc_list(const struct host *host, const char *bare, struct elem *query)
{
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        if (!may(&ROWS[i], host, bare)) continue;
        struct elem *item = elem_add(query, NULL, "item");
        elem_set(item, "jid", host->domain);
        elem_set(item, "node", ROWS[i].node);
        elem_set(item, "name", ROWS[i].name);
    }
}

bool adhoc_info(const struct host *host, const char *bare, const char *node, struct elem *query)
{
    static const char *const FEATURES[] = {NS_COMMANDS, NS_DATA};
    const bool all = strcmp(node, NS_COMMANDS) == 0;
    const struct adhoc_row *row = find(node);
    if (!all && (!row || !may(row, host, bare))) return false;
    struct elem *identity = elem_add(query, NULL, "identity");
    elem_set(identity, "category", "automation");
    elem_set(identity, "type", all ? "command-list" : "command-node");
    elem_set(identity, "name", all ? "Commands" : row->name);
    for (size_t i = 0; i < ARRAY_LEN(FEATURES); i++)
        elem_set(elem_add(query, NULL, "feature"), "var", FEATURES[i]);
    return true;
}

void adhoc_fill(struct elem *form, const char *title, const struct adhoc_field *fields, size_t count)
{
    elem_add_text(elem_add(form, NULL, "title"), title, strlen(title));
    for (size_t i = 0; i < count; i++) {
        struct elem *field = data_form_field(form, fields[i].var, fields[i].type, fields[i].label, NULL);
        if (fields[i].required) data_form_require(field);
    }
}

struct elem *adhoc_result(struct adhoc *call)
{
    return data_form_add(call->command, "result", NS_ADMIN);
}

void adhoc_note(struct adhoc *call, const char *type, const char *fmt, ...)
{
    struct buf text = {0};
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    buf_append_str(&text, line);
    struct elem *note = elem_add(call->command, NULL, "note");
    elem_set(note, "type", type);
    elem_add_text(note, (const char *)buf_data(&text), buf_len(&text));
    buf_free(&text);
}

struct jid *adhoc_account(const struct adhoc *call, const char *text, const char **why)
{
    *why = "not an address of a user";
    struct jid *jid = text ? jid_parse(text, strlen(text), why) : NULL;
    if (jid && jid->local && strcmp(jid->domain, call->request->to->domain) == 0) return jid;
    if (jid && jid->local) *why = "not a user of this host";
    jid_free(&jid);
    return NULL;
}

static void error_with(struct shard *shard, const struct stanza *request, enum stanza_error error,
                       const char *condition, const char *text)
{
    struct stanza *answer = stanza_error_new(request, error, text);
    if (!answer) return;
    if (condition) elem_add(elem_child(answer->elem, NS_CLIENT, "error"), NS_COMMANDS, condition);
    shard_count(shard, COUNTER_STANZA_ERRORS);
    router_deliver(shard, answer);
}

static struct adhoc *call_new(struct shard *shard, const struct stanza *request, const char *id, const char *status)
{
    struct adhoc *call = MEM_NEW(struct adhoc);
    call->shard = shard;
    call->request = stanza_copy(request);
    arena_keep_secret(call->request->elem->arena); /* a password may be in the form */
    call->reply = stanza_reply(request, "result");
    call->command = elem_add(call->reply->elem, NS_COMMANDS, "command");
    const struct elem *command = elem_child(call->request->elem, NS_COMMANDS, "command");
    elem_set(call->command, "node", elem_get(command, "node"));
    elem_set(call->command, "sessionid", id);
    elem_set(call->command, "status", status);
    call->form = elem_child(command, NS_DATA, "x");
    return call;
}

static void call_free(struct adhoc *call)
{
    stanza_free(&call->request);
    stanza_free(&call->reply);
    free(call);
}

static void send_reply(struct adhoc *call)
{
    router_deliver(call->shard, call->reply);
    call->reply = NULL;
    call_free(call);
}

static void on_finished(void *arg)
{
    struct adhoc *call = arg;
    const struct adhoc_row *row = find(elem_get(call->command, "node"));
    struct adhoc_session *session =
        session_get(call->shard, elem_get(call->command, "sessionid"), call->request->from, row);
    if (session) session_end(session);
    send_reply(call);
}

void adhoc_finish(struct adhoc *call)
{
    mailbox_post(call->shard->mailbox, on_finished, call);
}

/* What goes to the shard: the call, and what it was refused for. */
struct adhoc_refusal {
    struct adhoc *call;
    enum stanza_error error;
    const char *condition;
    char *text;
};

static void on_refused(void *arg)
{
    struct adhoc_refusal *refusal = arg;
    error_with(refusal->call->shard, refusal->call->request, refusal->error, refusal->condition, refusal->text);
    call_free(refusal->call);
    free(refusal->text);
    free(refusal);
}

void adhoc_refuse(struct adhoc *call, enum stanza_error error, const char *condition, const char *text)
{
    struct adhoc_refusal *refusal = MEM_NEW(struct adhoc_refusal);
    refusal->call = call;
    refusal->error = error;
    refusal->condition = condition;
    refusal->text = mem_strdup(text);
    mailbox_post(call->shard->mailbox, on_refused, refusal);
}

/* The first field that must be filled in and is not; NULL: none. */
static const char *missing_field(const struct adhoc_row *row, const struct elem *submitted)
{
    const char *missing = NULL;
    struct elem *root = elem_new(arena_new(), NS_COMMANDS, "command");
    struct elem *form = data_form_add(root, "form", NS_ADMIN);
    row->form(form);
    const struct elem *field = elem_child(form, NS_DATA, "field");
    for (; field && !missing; field = elem_next_element(field)) {
        if (!elem_child(field, NS_DATA, "required")) continue;
        const char *value = data_form_get(submitted, elem_get(field, "var"));
        if (!value || !*value) missing = elem_get(field, "label");
    }
    /* a label is static text of the command's row, its copy is not */
    static _Thread_local char text[128];
    if (missing) snprintf(text, sizeof(text), "to be filled in: %s", missing);
    elem_free(&root);
    return missing ? text : NULL;
}

/* What administrators do is in the log; not what they have filled in. */
static void run(const struct adhoc_row *row, struct adhoc *call)
{
    if (row->who != USER) {
        struct log_line line;
        log_begin(&line, LOG_LEVEL_INFO, "admin_command");
        log_str(&line, "command", row->node);
        log_str(&line, "host", call->request->to->domain);
        log_str(&line, "by", call->request->from->full);
        log_end(&line);
    }
    row->run(call);
}

static void begin(struct shard *shard, const struct stanza *request, const struct adhoc_row *row)
{
    char id[ID_BYTES];
    if (!row->form) {
        uint64_t number = 0;
        CHECK(RAND_bytes((unsigned char *)&number, sizeof(number)) == 1);
        make_id(shard->backend, number, request->from, row, id);
        run(row, call_new(shard, request, id, "completed"));
        return;
    }
    const struct adhoc_session *session = session_new(shard, request->from, row);
    if (!session) {
        error_with(shard, request, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL, "too many commands are open");
        return;
    }
    struct adhoc *call = call_new(shard, request, session->id, "executing");
    struct elem *actions = elem_add(call->command, NULL, "actions");
    elem_set(actions, "execute", "complete");
    elem_add(actions, NULL, "complete");
    row->form(data_form_add(call->command, "form", NS_ADMIN));
    send_reply(call);
}

static void go_on(struct shard *shard, const struct stanza *request, const struct adhoc_row *row,
                  struct adhoc_session *session, const char *action)
{
    if (strcmp(action, "cancel") == 0) {
        struct adhoc *call = call_new(shard, request, session->id, "canceled");
        session_end(session);
        send_reply(call);
        return;
    }
    if (strcmp(action, "execute") != 0 && strcmp(action, "complete") != 0) {
        error_with(shard, request, STANZA_ERROR_BAD_REQUEST, "bad-action", "there is one form only");
        return;
    }
    const struct elem *form = elem_child(elem_child(request->elem, NS_COMMANDS, "command"), NS_DATA, "x");
    const char *missing = form ? missing_field(row, form) : "the form is missing";
    if (missing) {
        error_with(shard, request, STANZA_ERROR_BAD_REQUEST, "bad-payload", missing);
        return;
    }
    deadline_arm(session->all->lives, &session->deadline);
    run(row, call_new(shard, request, session->id, "completed"));
}

static bool is_action(const char *action)
{
    static const char *const ACTIONS[] = {"execute", "complete", "cancel", "prev", "next"};
    for (size_t i = 0; i < ARRAY_LEN(ACTIONS); i++)
        if (strcmp(action, ACTIONS[i]) == 0) return true;
    return false;
}

/* The command is known and allowed. */
static void take(struct shard *shard, const struct stanza *request, const struct adhoc_row *row,
                 const struct elem *command)
{
    const char *id = elem_get(command, "sessionid"), *action = elem_get(command, "action");
    if (!action) action = "execute";
    struct adhoc_session *session = id ? session_get(shard, id, request->from, row) : NULL;
    if (!is_action(action)) {
        error_with(shard, request, STANZA_ERROR_BAD_REQUEST, "malformed-action", NULL);
    } else if (session) {
        go_on(shard, request, row, session, action);
    } else if (id && is_genuine(shard->backend, id, request->from, row)) {
        error_with(shard, request, STANZA_ERROR_NOT_ALLOWED, "session-expired", NULL);
    } else if (id) {
        error_with(shard, request, STANZA_ERROR_BAD_REQUEST, "bad-sessionid", NULL);
    } else if (strcmp(action, "execute") != 0) {
        error_with(shard, request, STANZA_ERROR_BAD_REQUEST, "bad-action", "the command has not begun");
    } else {
        begin(shard, request, row);
    }
}

void adhoc_iq(struct shard *shard, const struct stanza *request)
{
    arena_keep_secret(request->elem->arena);
    const struct elem *command = elem_child(request->elem, NS_COMMANDS, "command");
    const char *node = command ? elem_get(command, "node") : NULL;
    const struct host *host = hosts_find(shard_hosts(shard), request->to->domain);
    const struct adhoc_row *row = node ? find(node) : NULL;
    if (!node || !host) {
        error_with(shard, request, STANZA_ERROR_BAD_REQUEST, NULL, NULL);
    } else if (!row) {
        error_with(shard, request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
    } else if (!may(row, host, request->from->bare)) {
        error_with(shard, request, STANZA_ERROR_FORBIDDEN, NULL, NULL);
    } else {
        take(shard, request, row, command);
    }
}
