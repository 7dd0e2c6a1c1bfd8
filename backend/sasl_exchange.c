#include "backend/sasl_exchange.h"

#include "backend/backend_config.h"
#include "backend/c2s.h"
#include "backend/client_cert.h"
#include "backend/host.h"
#include "backend/key_shapes.h"
#include "backend/ns.h"
#include "backend/registration.h"
#include "backend/sasl.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/stream_log.h"
#include "backend/stream_tls.h"
#include "backend/terminated.h"
#include "lib/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char TOO_MANY[] = "too many failed attempts; try again later";

enum { SASL_EXCHANGE_MAGIC = 0x7361786e, FAILURES_MAX = 5, MISMATCHES_MAX = 10 };

/* calling: inside sasl_start or sasl_respond, whose answer may come at once.  over: the answer was the last one. */
struct sasl_exchange {
    unsigned magic;
    struct stream *stream;
    struct sasl_env env;
    struct client_cert cert; /* env borrows from it */
    struct sasl *sasl;       /* NULL: no attempt is under way */
    struct registration *registration;
    struct jid *claimed; /* who the client says it is, in the stream's header; NULL: it does not say */
    unsigned failures, mismatches;
    bool calling, answered, over;
    enum stream_state next;
};

struct sasl_exchange *sasl_exchange_new(struct stream *stream)
{
    struct sasl_exchange *exchange = MEM_NEW(struct sasl_exchange);
    struct backend *backend = stream->shard->backend;
    exchange->magic = SASL_EXCHANGE_MAGIC;
    exchange->stream = stream;
    exchange->env = (struct sasl_env){
        .store = backend->store,
        .offload = backend->offload,
        .mailbox = stream->shard->mailbox,
        .loop = stream->shard->loop,
        .ticks = stream->shard->sasl,
        .shapes = backend->key_shapes,
        .lockout = backend->lockout,
        .peer = &stream->peer,
        .secret = backend->secret,
        .secret_len = sizeof(backend->secret),
        .encrypted = true,
    };
    exchange->env.has_exporter = stream_tls_exporter(stream, exchange->env.exporter);
    exchange->env.end_point_len = stream_tls_end_point(stream, exchange->env.end_point);
    return exchange;
}

void sasl_exchange_free(struct sasl_exchange **exchange)
{
    if (!*exchange) return;
    sasl_free(&(*exchange)->sasl);
    registration_free(&(*exchange)->registration);
    client_cert_clear(&(*exchange)->cert);
    jid_free(&(*exchange)->claimed);
    mem_wipe(*exchange, sizeof(**exchange));
    free(*exchange);
    *exchange = NULL;
}

void sasl_exchange_give_up(struct sasl_exchange *exchange)
{
    sasl_free(&exchange->sasl);
    registration_free(&exchange->registration);
}

void sasl_exchange_claim(struct sasl_exchange *exchange, const char *from)
{
    jid_free(&exchange->claimed);
    exchange->claimed = from ? jid_parse(from, strlen(from), NULL) : NULL;
}

static void apply_policy(struct sasl_env *env, const struct host *host)
{
    const struct backend_config *config = hosts_config(host->hosts);
    env->domain = host->domain;
    env->limits = &config->lockout;
    env->iterations = config->scram_iterations;
    env->hashes = host->sasl.chosen ? host->sasl.hashes : key_shapes_hashes(env->shapes, host->domain);
    env->plain = host->sasl.plain;
    env->anonymous = host->sasl.anonymous;
}

bool sasl_exchange_identify(struct sasl_exchange *exchange)
{
    struct stream *stream = exchange->stream;
    const char *why = "the gateway does not trust it";
    STACK_OF(X509) *chain = stream->host->asks_certificate ? stream_tls_chain(stream) : NULL;
    client_cert_clear(&exchange->cert);
    const bool trusted =
        chain && !stream_tls_is_doubted(stream) && client_cert_read(&exchange->cert, stream->host, chain, &why);
    if (chain && !trusted) stream_log_certificate(stream, why);
    sk_X509_pop_free(chain, X509_free);
    apply_policy(&exchange->env, stream->host);
    exchange->env.external = exchange->cert.locals;
    exchange->env.external_count = exchange->cert.count;
    return trusted || !stream->host->requires_certificate;
}

static void print_mechanism(const char *name, void *arg)
{
    buf_printf(arg, "<mechanism>%s</mechanism>", name);
}

static void print_binding(const char *type, void *arg)
{
    buf_printf(arg, "<channel-binding type='%s'/>", type);
}

void sasl_exchange_features(struct sasl_exchange *exchange, struct buf *out)
{
    const struct sasl_env *env = &exchange->env;
    buf_append_str(out, "<mechanisms xmlns='" NS_SASL "'>");
    sasl_each(env, print_mechanism, out);
    buf_append_str(out, "</mechanisms>");
    struct buf bindings = {0};
    sasl_channel_bindings_each(env, print_binding, &bindings);
    if (buf_len(&bindings) > 0) {
        buf_append_str(out, "<sasl-channel-binding xmlns='" NS_SASL_CB "'>");
        buf_append(out, buf_data(&bindings), buf_len(&bindings));
        buf_append_str(out, "</sasl-channel-binding>");
    }
    buf_free(&bindings);
}

/* The empty string is written as "=", so that it differs from none (RFC 6120 section 6.4.2). */
static void write_data(struct stream *stream, const char *name, const uint8_t *data, size_t len)
{
    struct buf out = {0};
    buf_printf(&out, "<%s xmlns='" NS_SASL "'>", name);
    if (data && len == 0) buf_append_str(&out, "=");
    if (data && len > 0) {
        uint8_t *text = buf_reserve(&out, BASE64_TEXT_BYTES(len));
        buf_commit(&out, base64_encode(data, len, (char *)text));
    }
    buf_printf(&out, "</%s>", name);
    stream_write_buf(stream, &out);
}

static enum stream_state one_more_failure(struct sasl_exchange *exchange)
{
    if (++exchange->failures < FAILURES_MAX) return STREAM_SASL;
    return stream_fail(exchange->stream, END_AUTH_FAILED, "policy-violation", "too many failed attempts");
}

/* What the log says and a counter counts of a cause; text is for the user, and the same whether the account exists. */
static const struct {
    const char *word, *text;
    int counter; /* -1: none of its own */
} CAUSES[] = {
    [SASL_CAUSE_OTHER] = {NULL, NULL, -1},
    [SASL_CAUSE_PASSWORD] = {"wrong_password", NULL, COUNTER_AUTH_WRONG_PASSWORD},
    [SASL_CAUSE_BINDING] = {"binding_mismatch", NULL, COUNTER_AUTH_BINDING_MISMATCH},
    [SASL_CAUSE_DISABLED] = {"account_disabled", NULL, COUNTER_AUTH_DISABLED},
    [SASL_CAUSE_SOURCE_LOCKED] = {"source_locked", TOO_MANY, COUNTER_AUTH_SOURCE_LOCKED},
    [SASL_CAUSE_ACCOUNT_LOCKED] = {"account_locked", TOO_MANY, COUNTER_AUTH_ACCOUNT_LOCKED},
    [SASL_CAUSE_BUSY] = {"busy", "too many are logging in at this moment", COUNTER_AUTH_BUSY},
};

static enum stream_state failed(struct sasl_exchange *exchange, const struct sasl_result *result)
{
    struct stream *stream = exchange->stream;
    const char *text = CAUSES[result->cause].text;
    const int counter = CAUSES[result->cause].counter;
    struct buf out = {0};
    exchange->over = true;
    stream_log_refused(stream, result->condition, CAUSES[result->cause].word, result->local, result->delayed_ms);
    if (result->locked != LOCKOUT_OPEN)
        stream_log_locked(stream, result->locked == LOCKOUT_ACCOUNT ? result->local : NULL);
    buf_printf(&out, "<failure xmlns='" NS_SASL "'><%s/>", result->condition);
    if (text) buf_printf(&out, "<text xml:lang='en'>%s</text>", text);
    buf_append_str(&out, "</failure>");
    stream_write_buf(stream, &out);
    shard_count(stream->shard, COUNTER_AUTH_FAILURES);
    if (counter >= 0) shard_count(stream->shard, (enum backend_counter)counter);
    if (result->delayed_ms > 0) shard_count(stream->shard, COUNTER_AUTH_DELAYED);
    /* clients that go wrong about channel bindings try every mechanism that we have before the one that they can */
    if (result->cause == SASL_CAUSE_BINDING && ++exchange->mismatches < MISMATCHES_MAX) return STREAM_SASL;
    return one_more_failure(exchange);
}

static enum stream_state failed_early(struct sasl_exchange *exchange, const char *condition)
{
    return failed(exchange, &(struct sasl_result){.status = SASL_FAILURE, .condition = condition});
}

/* RFC 6120 section 6.4.6.  A guest could not know its name. */
static bool is_whom_it_claimed(const struct sasl_exchange *exchange, bool guest)
{
    const struct jid *claimed = exchange->claimed;
    return guest || !claimed || !claimed->local || jid_bare_equal(claimed, exchange->stream->bare);
}

static enum stream_state answer(struct sasl_exchange *exchange, const struct sasl_result *result)
{
    static const uint8_t NOTHING[1];
    struct stream *stream = exchange->stream;
    switch (result->status) {
    case SASL_CHALLENGE:
        write_data(stream, "challenge", result->data ? result->data : NOTHING, result->data ? result->len : 0);
        return STREAM_SASL;
    case SASL_FAILURE:
        return failed(exchange, result);
    case SASL_SUCCESS:
        break;
    }
    stream->bare = jid_new(result->local, stream->host->domain, NULL, NULL);
    if (!stream->bare) return failed_early(exchange, "not-authorized");
    if (!is_whom_it_claimed(exchange, result->temporary)) {
        jid_free(&stream->bare);
        exchange->over = true;
        return stream_fail(stream, END_BAD_HEADER, "invalid-from", "the header's \"from\" is not who logged in");
    }
    stream->binding = result->binding;
    stream->guest = result->temporary;
    if (result->delayed_ms > 0) shard_count(stream->shard, COUNTER_AUTH_DELAYED);
    exchange->over = true;
    write_data(stream, "success", result->data, result->len);
    return STREAM_MOVING;
}

/* conclude - outside of every call of sasl's: what an answer means for the stream.  Frees the exchange on success. */
static enum stream_state conclude(struct sasl_exchange *exchange)
{
    struct stream *stream = exchange->stream;
    const enum stream_state next = exchange->next;
    if (exchange->over) sasl_free(&exchange->sasl);
    if (!stream->bare) return next;
    sasl_exchange_free(&stream->exchange);
    if (stream->terminated) terminated_forget(stream->terminated);
    stream_restart(stream);
    return stream_settle(stream);
}

static void on_answer(const struct sasl_result *result, void *arg)
{
    struct sasl_exchange *exchange = arg;
    CHECK_MAGIC(exchange, SASL_EXCHANGE_MAGIC);
    struct stream *stream = exchange->stream;
    exchange->next = answer(exchange, result);
    exchange->answered = true;
    if (!exchange->calling) stream_advance(stream, conclude(exchange));
}

/* The text of an element, decoded in the element's arena: data NULL means that there is none.  false: not base64. */
static bool decode(const struct elem *elem, const uint8_t **data, size_t *len)
{
    static const uint8_t NOTHING[1];
    size_t text_len = 0;
    const char *text = elem_text(elem, &text_len);
    *data = NULL;
    *len = 0;
    if (text_len == 0) return true;
    if (text_len == 1 && text[0] == '=') {
        *data = NOTHING;
        return true;
    }
    uint8_t *out = arena_alloc(elem->arena, BASE64_DATA_BYTES(text_len) + 1);
    const ssize_t got = base64_decode(text, text_len, out);
    if (got < 0) return false;
    *data = out;
    *len = (size_t)got;
    return true;
}

static void start(struct sasl_exchange *exchange, const struct elem *auth, const uint8_t *data, size_t len)
{
    struct stream *stream = exchange->stream;
    const char *mechanism = elem_get(auth, "mechanism");
    snprintf(stream->mechanism, sizeof(stream->mechanism), "%s", mechanism ? mechanism : "");
    stream->auth_begun_ms = loop_now_ms(stream->shard->loop);
    exchange->sasl = sasl_start(&exchange->env, mechanism ? mechanism : "", data, len, on_answer, exchange);
}

static void respond(struct sasl_exchange *exchange, const uint8_t *data, size_t len)
{
    static const uint8_t NOTHING[1];
    sasl_respond(exchange->sasl, data ? data : NOTHING, len);
}

static enum stream_state step(struct sasl_exchange *exchange, const struct elem *elem)
{
    const bool is_auth = elem_is(elem, NS_SASL, "auth");
    const uint8_t *data = NULL;
    size_t len = 0;
    exchange->over = exchange->answered = false;
    if (is_auth && exchange->sasl) {
        /* A client may begin anew at any time, but not for ever: each attempt asks the store. */
        sasl_free(&exchange->sasl);
        if (one_more_failure(exchange) == STREAM_CLOSING) return STREAM_CLOSING;
    }
    if (!decode(elem, &data, &len)) return failed_early(exchange, "incorrect-encoding");
    if (!is_auth && !exchange->sasl) return failed_early(exchange, "malformed-request");
    exchange->calling = true;
    if (is_auth) {
        start(exchange, elem, data, len);
    } else {
        respond(exchange, data, len);
    }
    exchange->calling = false;
    return exchange->answered ? exchange->next : STREAM_SASL_WAIT;
}

enum stream_state sasl_exchange_step(struct stream *stream, struct elem *elem)
{
    struct sasl_exchange *exchange = stream->exchange;
    if (elem_is(elem, NS_SM, NULL)) return sm_element(stream, elem); /* too early, which is no reason to part */
    if (registration_is_asked(elem)) return registration_step(&exchange->registration, stream, elem);
    if (elem_is(elem, NS_SASL, "abort")) {
        exchange->next = failed_early(exchange, "aborted");
    } else if (elem_is(elem, NS_SASL, "auth") || elem_is(elem, NS_SASL, "response")) {
        exchange->next = step(exchange, elem);
    } else {
        return c2s_misplaced(stream, elem);
    }
    elem_free(&elem);
    return conclude(exchange);
}
