#include "backend/c2s.h"

#include "backend/backend_config.h"
#include "backend/caps.h"
#include "backend/dispatch.h"
#include "backend/ns.h"
#include "backend/registration.h"
#include "backend/router.h"
#include "backend/sasl_exchange.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm.h"
#include "backend/stanza.h"
#include "backend/stanza_error.h"
#include "backend/stream_header.h"
#include "backend/stream_log.h"

#include <inttypes.h>
#include <string.h>

enum { REFUSALS_MAX = 3 };

/* XEP-0478 section 3.1. */
static void print_limits(const struct stream *stream, struct buf *out)
{
    const int64_t ping_ms = shard_config(stream->shard)->client_ping_ms;
    buf_printf(out, "<limits xmlns='" NS_LIMITS "'><max-bytes>%zu</max-bytes>", xml_max_bytes(stream->xml));
    if (stream->bare && ping_ms > 0) buf_printf(out, "<idle-seconds>%" PRId64 "</idle-seconds>", ping_ms / 1000);
    buf_append_str(out, "</limits>");
}

/* Whether the client may log in as it is. */
static bool may_log_in(const struct stream *stream)
{
    return stream->secure || stream->plain;
}

enum stream_state c2s_open(struct stream *stream, struct elem *header)
{
    if (stream_header_is_of_server(stream)) return stream_leave(stream, header);
    const char *text = NULL;
    enum end_reason reason = END_BAD_HEADER;
    const char *condition = stream_header_check(stream, header, &text);
    if (!condition && stream->exchange && !sasl_exchange_identify(stream->exchange)) {
        condition = "not-authorized";
        text = "a client certificate is required";
        reason = END_NO_CERTIFICATE;
    }
    if (stream->exchange) sasl_exchange_claim(stream->exchange, elem_get(header, "from"));
    /* RFC 6120 section 4.9.3.19: only behind TLS can the client know that it is us who send it away */
    const bool elsewhere = !condition && may_log_in(stream) && stream->host->see_other_host;
    struct buf out = {0};
    stream_header_print(stream, header, &out);
    elem_free(&header);
    enum stream_state next = STREAM_CLOSING;
    if (!condition && !elsewhere) {
        buf_append_str(&out, "<stream:features>");
        if (stream->bare) {
            /* RFC 3921 clients want a session; the optional says that newer ones need not ask */
            buf_append_str(&out, "<bind xmlns='" NS_BIND "'/><session xmlns='" NS_SESSION "'><optional/></session>"
                                 "<ver xmlns='" NS_ROSTER_VER "'/><sub xmlns='" NS_PREAPPROVAL "'/>");
            caps_add_feature(stream->host, &out);
            sm_feature(&out);
            next = STREAM_BINDING;
        } else if (may_log_in(stream)) {
            sasl_exchange_features(stream->exchange, &out);
            registration_feature(stream, &out);
            next = STREAM_SASL;
        } else {
            buf_append_str(&out, "<starttls xmlns='" NS_TLS "'><required/></starttls>");
            next = STREAM_PLAIN;
        }
        if (may_log_in(stream)) print_limits(stream, &out);
        buf_append_str(&out, "</stream:features>");
    }
    stream_write_buf(stream, &out);
    if (elsewhere) return stream_redirect(stream, stream->host->see_other_host);
    return condition ? stream_fail(stream, reason, condition, text) : next;
}

/* RFC 6120 section 5.4.2.2: STARTTLS that is not offered, or written wrongly. */
static enum stream_state refuse_tls(struct stream *stream, struct elem *elem)
{
    elem_free(&elem);
    stream_write(stream, "<failure xmlns='" NS_TLS "'/>");
    return stream_close(stream, END_BAD_STANZA);
}

enum stream_state c2s_misplaced(struct stream *stream, struct elem *elem)
{
    if (elem_is(elem, NS_TLS, NULL)) return refuse_tls(stream, elem);
    const bool stanza = stanza_new(elem) != NULL;
    const bool server = strcmp(elem->ns, NS_SERVER) == 0;
    elem_free(&elem);
    if (server) return stream_fail(stream, END_BAD_STANZA, "invalid-namespace", "this is no stream of a server");
    if (stanza) return stream_fail(stream, END_NOT_AUTHORIZED, "not-authorized", NULL);
    return stream_fail(stream, END_BAD_STANZA, "unsupported-stanza-type", NULL);
}

enum stream_state c2s_before_tls(struct stream *stream, struct elem *elem)
{
    if (elem_is(elem, NS_TLS, "starttls") && stream->host->tls) {
        elem_free(&elem);
        stream_write(stream, "<proceed xmlns='" NS_TLS "'/>");
        return stream_secure(stream);
    }
    if (!elem_is(elem, NS_SASL, "auth")) return c2s_misplaced(stream, elem);
    elem_free(&elem);
    stream_log_refused(stream, "encryption-required", NULL, NULL, 0);
    stream_write(stream, "<failure xmlns='" NS_SASL "'><encryption-required/></failure>");
    shard_count(stream->shard, COUNTER_AUTH_FAILURES);
    if (++stream->refusals < REFUSALS_MAX) return STREAM_PLAIN;
    return stream_fail(stream, END_NOT_ENCRYPTED, "policy-violation", "use STARTTLS first");
}

static void bind_refused(struct stream *stream, struct stanza *request, int error)
{
    request->from = jid_dup(stream->bare);
    struct stanza *answer = stanza_error_new(request, (enum stanza_error)error, NULL);
    elem_set(answer->elem, "to", NULL);
    /* RFC 6120 section 7.7.2.2: the client may ask for another one */
    if (error == STANZA_ERROR_CONFLICT) elem_set(elem_child(answer->elem, NULL, "error"), "type", "modify");
    stream_send_elem(stream, answer->elem);
    stanza_free(&answer);
}

static void bind_granted(struct stream *stream, const struct stanza *request)
{
    struct elem *iq = elem_new(arena_new(), NS_CLIENT, "iq");
    elem_set(iq, "type", "result");
    elem_set(iq, "id", elem_get(request->elem, "id"));
    const char *full = stream->session->jid->full;
    elem_add_text(elem_add(elem_add(iq, NS_BIND, "bind"), NULL, "jid"), full, strlen(full));
    stream_send_elem(stream, iq);
    elem_free(&iq);
    shard_count(stream->shard, COUNTER_BOUND);
    stream_log_bound(stream);
}

enum stream_state c2s_bind(struct stream *stream, struct elem *elem)
{
    if (elem_is(elem, NS_SM, NULL)) return sm_element(stream, elem);
    const struct elem *bind = elem_child(elem, NS_BIND, "bind");
    struct stanza *request = bind ? stanza_new(elem) : NULL;
    if (!request || request->kind != STANZA_IQ || request->type != STANZA_SET) return c2s_misplaced(stream, elem);
    const struct elem *resource = elem_child(bind, NS_BIND, "resource");
    int error = STANZA_ERROR_BAD_REQUEST;
    if (elem_get(request->elem, "id")) /* RFC 6120 section 8.1.3: required */
        stream->session =
            session_bind(stream->user, stream, stream->bare, resource ? elem_text(resource, NULL) : NULL, &error);
    if (stream->session) {
        bind_granted(stream, request);
    } else {
        bind_refused(stream, request, error);
    }
    stanza_free(&request);
    return stream->session ? STREAM_BOUND : STREAM_BINDING;
}

enum stream_state c2s_stanza(struct stream *stream, struct elem *elem)
{
    if (elem_is(elem, NS_SM, NULL)) return sm_element(stream, elem);
    if (elem_is(elem, NS_TLS, NULL)) return refuse_tls(stream, elem);
    const struct session_fault fault = session_receive(stream->session, elem);
    if (fault.condition) return stream_fail(stream, END_BAD_STANZA, fault.condition, fault.text);
    if (!stream->session->ahead) return STREAM_BOUND;
    shard_count(stream->shard, COUNTER_PAUSES);
    return STREAM_PAUSED;
}

void c2s_last_words(struct stream *stream, struct elem *elem)
{
    const bool innocent = stream->end == END_SHUTDOWN || stream->end == END_CONFLICT;
    if (stream->session && innocent && elem_is(elem, NS_CLIENT, "message")) {
        const struct session_fault fault = session_receive(stream->session, elem);
        (void)fault; /* the stream has ended already */
    } else {
        elem_free(&elem);
    }
}

/* RFC 3921 section 3: nothing to do, for the session began with the resource. */
void c2s_session_iq(struct shard *shard, const struct stanza *request)
{
    router_deliver(shard, stanza_reply(request, "result"));
}

/* RFC 6120 section 7.7.2.2 lets a server refuse a second resource on a stream. */
void c2s_bind_again_iq(struct shard *shard, const struct stanza *request)
{
    stanza_error_answer(shard, request, STANZA_ERROR_NOT_ALLOWED, NULL);
}
