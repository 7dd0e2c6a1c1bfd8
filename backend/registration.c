#include "backend/registration.h"

#include "backend/account.h"
#include "backend/backend_config.h"
#include "backend/bucket.h"
#include "backend/host.h"
#include "backend/lockout.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza.h"
#include "backend/stanza_error.h"
#include "lib/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { REGISTRATION_MAGIC = 0x72656769, SOURCES = 8192, REQUESTS_MAX = 20 };

struct registrations {
    pthread_mutex_t lock;
    struct buckets *sources; /* guarded by lock */
};

/* stream is NULL once it goes on without us; request is the one that is under way. */
struct registration {
    unsigned magic;
    struct stream *stream;
    struct stanza *request;
    struct jid *jid; /* of the account that is being made */
    bool done;       /* it has been */
    unsigned requests;
    bool calling; /* inside account_change, whose answer may come at once */
};

struct registrations *registrations_new(void)
{
    struct registrations *registrations = MEM_NEW(struct registrations);
    pthread_mutex_init(&registrations->lock, NULL);
    registrations->sources = buckets_new(SOURCES);
    return registrations;
}

void registrations_free(struct registrations **registrations)
{
    struct registrations *r = *registrations;
    if (!r) return;
    *registrations = NULL;
    buckets_free(&r->sources);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void registration_feature(const struct stream *stream, struct buf *out)
{
    if (stream->host->registration.open) buf_append_str(out, "<register xmlns='" NS_REGISTER_FEATURE "'/>");
}

bool registration_is_asked(const struct elem *elem)
{
    return elem_is(elem, NS_CLIENT, "iq") && elem_child(elem, NS_REGISTER, "query");
}

static void release(struct registration *registration)
{
    stanza_free(&registration->request);
    jid_free(&registration->jid);
    registration->magic = 0;
    free(registration);
}

void registration_free(struct registration **place)
{
    struct registration *registration = *place;
    if (!registration) return;
    *place = NULL;
    registration->stream = NULL;
    if (!registration->request) release(registration);
}

/* The client has no address yet, so the answer has no "to". */
static void send_answer(const struct registration *registration, struct stanza *answer)
{
    struct stream *stream = registration->stream;
    elem_set(answer->elem, "to", NULL);
    elem_set(answer->elem, "from", stream->host->domain);
    stream_send_elem(stream, answer->elem);
    stanza_free(&answer);
}

static enum stream_state end_request(struct registration *registration)
{
    stanza_free(&registration->request);
    jid_free(&registration->jid);
    return STREAM_SASL;
}

static enum stream_state refuse(struct registration *registration, enum stanza_error error, const char *text)
{
    struct stanza *answer = stanza_error_new(registration->request, error, text);
    if (answer) send_answer(registration, answer);
    shard_count(registration->stream->shard, COUNTER_REGISTRATIONS_REFUSED);
    return end_request(registration);
}

static enum stream_state tell_form(struct registration *registration)
{
    struct stanza *answer = stanza_reply(registration->request, "result");
    struct elem *query = elem_add(answer->elem, NS_REGISTER, "query");
    static const char TEXT[] = "Choose a username and a password.";
    elem_add_text(elem_add(query, NULL, "instructions"), TEXT, sizeof(TEXT) - 1);
    elem_add(query, NULL, "username");
    elem_add(query, NULL, "password");
    send_answer(registration, answer);
    return end_request(registration);
}

/* May the source have one more?  It counts, whatever comes of it: the answer tells whether an account exists. */
static bool take_turn(const struct stream *stream)
{
    const struct backend_config *config = hosts_config(stream->host->hosts);
    struct registrations *registrations = stream->shard->backend->registrations;
    const unsigned limit = config->registrations_per_source;
    const struct lockout_key key = lockout_key(&config->lockout, &stream->peer, "");
    if (limit == 0 || key.source == 0) return true;
    const int64_t interval_ms = config->registrations_window_ms / limit + 1, now_ms = loop_now_ms(stream->shard->loop);
    pthread_mutex_lock(&registrations->lock);
    const bool free_turn = bucket_level(registrations->sources, key.source, interval_ms, now_ms) < limit;
    if (free_turn) bucket_add(registrations->sources, key.source, interval_ms, now_ms);
    pthread_mutex_unlock(&registrations->lock);
    return free_turn;
}

static void log_made(const struct stream *stream, const struct jid *jid)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "account_registered");
    log_str(&line, "account", jid->bare);
    log_addr(&line, "peer", &stream->peer);
    log_str(&line, "conn", stream->id);
    log_end(&line);
}

static void tell_watchers(const struct stream *stream, const struct jid *jid)
{
    const struct registration_policy *policy = &stream->host->registration;
    char peer[ADDR_TEXT_BYTES];
    addr_format_host(&stream->peer, peer, sizeof(peer));
    for (size_t i = 0; i < policy->watcher_count; i++) {
        char *text = mem_asprintf("%s has been registered from %s.", jid->bare, peer);
        struct elem *elem = elem_new(arena_new(), NS_CLIENT, "message");
        elem_add_text(elem_add(elem, NULL, "body"), text, strlen(text));
        free(text);
        struct stanza *message = stanza_new(elem);
        struct jid *from = jid_new(NULL, stream->host->domain, NULL, NULL);
        struct jid *to = jid_parse(policy->watchers[i], strlen(policy->watchers[i]), NULL);
        CHECK(message && from && to);
        stanza_address(message, from, to);
        router_deliver(stream->shard, message);
    }
}

static enum stream_state made(struct registration *registration)
{
    const struct stream *stream = registration->stream;
    registration->done = true;
    shard_count(stream->shard, COUNTER_REGISTRATIONS);
    log_made(stream, registration->jid);
    tell_watchers(stream, registration->jid);
    send_answer(registration, stanza_reply(registration->request, "result"));
    return end_request(registration);
}

static enum stream_state conclude(struct registration *registration, const char *code, const char *text)
{
    static const struct {
        const char *code;
        enum stanza_error error;
    } ERRORS[] = {{"exists", STANZA_ERROR_CONFLICT},
                  {"usage", STANZA_ERROR_NOT_ACCEPTABLE},
                  {"full", STANZA_ERROR_RESOURCE_CONSTRAINT},
                  {"unavailable", STANZA_ERROR_RESOURCE_CONSTRAINT}};
    if (!code) return made(registration);
    for (size_t i = 0; i < ARRAY_LEN(ERRORS); i++)
        if (strcmp(ERRORS[i].code, code) == 0) return refuse(registration, ERRORS[i].error, text);
    return refuse(registration, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
}

static void on_changed(const char *code, const char *text, void *arg)
{
    struct registration *registration = arg;
    CHECK_MAGIC(registration, REGISTRATION_MAGIC);
    struct stream *stream = registration->stream;
    if (!stream) {
        release(registration);
        return;
    }
    const enum stream_state next = conclude(registration, code, text);
    if (!registration->calling) stream_advance(stream, next);
}

static enum stream_state make(struct registration *registration, const char *username, const char *password)
{
    const struct stream *stream = registration->stream;
    const char *why = NULL;
    char local[JID_PART_MAX_BYTES + 1];
    if (jid_prepare_local(username, local, &why) != 0) return refuse(registration, STANZA_ERROR_NOT_ACCEPTABLE, why);
    registration->jid = jid_new(local, stream->host->domain, NULL, NULL);
    if (!registration->jid || !jid_local_is_acceptable(local, &why))
        return refuse(registration, STANZA_ERROR_NOT_ACCEPTABLE, why);
    if (!take_turn(stream))
        return refuse(registration, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many accounts are asked for; try later");
    /* Nobody becomes an administrator by being the first to take the name. */
    if (host_is_admin(stream->host, registration->jid->bare)) return refuse(registration, STANZA_ERROR_CONFLICT, NULL);
    const struct backend_config *config = hosts_config(stream->host->hosts);
    const struct account_order order = {.action = ACCOUNT_ADD,
                                        .jid = registration->jid->bare,
                                        .password = password,
                                        .source = lockout_key(&config->lockout, &stream->peer, "").source};
    registration->calling = true;
    account_change(stream->shard, &order, on_changed, registration);
    registration->calling = false;
    return registration->request ? STREAM_SASL_WAIT : STREAM_SASL;
}

static enum stream_state fill_in(struct registration *registration)
{
    const struct elem *query = elem_child(registration->request->elem, NS_REGISTER, "query");
    const struct elem *username = elem_child(query, NS_REGISTER, "username");
    const struct elem *password = elem_child(query, NS_REGISTER, "password");
    if (elem_child(query, NS_REGISTER, "remove"))
        return refuse(registration, STANZA_ERROR_UNEXPECTED_REQUEST, "log in first");
    if (registration->done)
        return refuse(registration, STANZA_ERROR_NOT_ACCEPTABLE, "one account is made for each connection");
    if (!username || !password || !*elem_text(username, NULL) || !*elem_text(password, NULL))
        return refuse(registration, STANZA_ERROR_NOT_ACCEPTABLE, "a username and a password are needed");
    return make(registration, elem_text(username, NULL), elem_text(password, NULL));
}

enum stream_state registration_step(struct registration **place, struct stream *stream, struct elem *elem)
{
    struct registration *registration = *place;
    if (!registration) {
        registration = *place = MEM_NEW(struct registration);
        registration->magic = REGISTRATION_MAGIC;
        registration->stream = stream;
    }
    registration->request = stanza_new(elem);
    CHECK(registration->request);
    arena_keep_secret(elem->arena);
    registration->request->from = jid_new(NULL, stream->host->domain, NULL, NULL);
    if (++registration->requests > REQUESTS_MAX) {
        end_request(registration);
        return stream_fail(stream, END_AUTH_FAILED, "policy-violation", "too many requests before logging in");
    }
    const enum stanza_type type = registration->request->type;
    if ((type != STANZA_GET && type != STANZA_SET) || !elem_get(elem, "id"))
        return refuse(registration, STANZA_ERROR_BAD_REQUEST, NULL);
    if (!stream->host->registration.open) return refuse(registration, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    return type == STANZA_GET ? tell_form(registration) : fill_in(registration);
}
