#include "backend/s2s_out.h"

#include "backend/admission.h"
#include "backend/backend_config.h"
#include "backend/dialback.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/onion.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_in.h"
#include "backend/s2s_pin.h"
#include "backend/s2s_sm.h"
#include "backend/shard.h"
#include "backend/stream_header.h"
#include "lib/base64.h"
#include "lib/tls_ask.h"
#include "lib/tls_client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* note - the first failure is the one that is told. */
static void note(struct s2s_stream *stream, enum s2s_failure failure, const char *why)
{
    if (stream->failed) return;
    if (why && !*why) why = NULL;
    stream->failed = true;
    stream->failure = failure;
    stream->why = mem_strdup(why);
    s2s_trace(&stream->trace, 0, S2S_FAILURE_ROWS[failure].name, "%s%s%s", S2S_FAILURE_ROWS[failure].text,
              why ? ": " : "", why ? why : "");
}

void s2s_out_give_up(struct s2s_stream *stream, enum s2s_failure failure, const char *why)
{
    note(stream, failure, why);
    s2s_stream_close(stream, failure == S2S_TIMEOUT ? END_AUTH_TIMEOUT : END_GAVE_UP);
}

/* Whether another of its addresses might do better. */
static bool is_of_the_way(enum s2s_failure failure)
{
    return failure == S2S_BROKEN || failure == S2S_TLS || failure == S2S_TIMEOUT || failure == S2S_CERTIFICATE ||
           failure == S2S_STREAM_ERROR || failure == S2S_NO_TLS;
}

static enum s2s_failure failure_of(const struct peer_stream *peer)
{
    if (peer->end == END_TLS_FAILED) return S2S_TLS;
    return peer->end == END_AUTH_TIMEOUT ? S2S_TIMEOUT : S2S_BROKEN;
}

static const char *why_broken(const struct s2s_stream *stream)
{
    if (stream->peer->why || stream->failure != S2S_BROKEN || stream->their_id) return stream->peer->why;
    return "no stream came back; maybe that port wants TLS from the first byte (tls = direct), or is no XMPP server's";
}

bool s2s_out_ended(struct s2s_stream *stream)
{
    if (!stream->failed) {
        stream->failed = true;
        stream->failure = failure_of(stream->peer);
        stream->why = mem_strdup(why_broken(stream));
    }
    const bool again = stream->dialer && is_of_the_way(stream->failure) && stream->peer->end != END_SHUTDOWN &&
                       stream->peer->end != END_HOST_GONE && stream->peer->end != END_DENIED;
    if (!again) return false;
    char *why = stream->why;
    s2s_sm_gone(stream);
    dialback_drop_asked(stream);
    stream->peer = NULL;
    stream->way = NULL;
    stream->why = NULL;
    free(stream->their_id);
    stream->their_id = NULL;
    stream->failed = stream->secure = stream->restarted = stream->bidi = false;
    stream->sm_offered = stream->dialback_errors = false;
    stream->cert = (struct server_cert){.by = SERVER_CERT_NONE};
    LIST_EACH (link, &stream->pairs)
        LIST_ENTRY(link, struct s2s_pair, link)->proof = S2S_PROOF_NONE; /* what was proved there counts there alone */
    stream->state = S2S_DIALING;
    dialer_next(stream->dialer, stream->failure, why ? why : "");
    free(why);
    return true;
}

void s2s_out_pair_failed(struct s2s_pair *pair, enum s2s_failure failure, const char *why)
{
    struct s2s_stream *stream = pair->stream;
    char *local = mem_strdup(pair->local);
    s2s_pair_free(pair);
    remote_link_failed(stream->remote, local, failure, why);
    free(local);
}

void s2s_out_tell_failed(struct s2s_stream *stream)
{
    LIST_EACH (link, &stream->pairs) {
        struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (pair->ours && pair->proof == S2S_PROOF_NONE)
            s2s_out_pair_failed(pair, stream->failed ? stream->failure : S2S_BROKEN, stream->why);
    }
}

static void send_header(struct s2s_stream *stream)
{
    struct buf out = {0};
    stream->state = S2S_OPENING;
    s2s_stream_print_header(stream, &out);
    s2s_stream_write(stream, &out);
}

static void start_tls(struct s2s_stream *stream, const char *alpn)
{
    char name[JID_PART_MAX_BYTES + 1];
    SSL_CTX *ctx = hosts_tls_client(stream->hosts, stream->local);
    stream->state = S2S_SECURING;
    const char *ascii = jid_domain_ascii(stream->domain, name) == 0 ? name : NULL;
    peer_secure_client(stream->peer, tls_client_ssl(ctx, ascii, alpn));
}

static void on_connected(void *arg, int fd, const struct dialer_way *way)
{
    struct s2s_stream *stream = s2s_stream_of(arg);
    struct backend *backend = stream->shard->backend;
    struct stream_origin name = {.fd = fd};
    if (!admission_has_room(backend)) {
        close(fd);
        s2s_out_give_up(stream, S2S_CROWDED, NULL);
        return;
    }
    atomic_fetch_add(&backend->streams, 1);
    admission_keep_alive(shard_config(stream->shard), fd);
    admission_name(&name);
    const struct peer_origin origin = {.fd = fd, .addr = way->addr, .conn = name.id};
    stream->way = way;
    s2s_stream_connected(stream, &origin);
    if (way->direct_tls) {
        start_tls(stream, "xmpp-server");
    } else {
        send_header(stream);
    }
}

static void on_failed(void *arg, enum s2s_failure failure, const char *why)
{
    s2s_out_give_up(s2s_stream_of(arg), failure, why);
}

static const struct dialer_events DIALER_EVENTS = {.on_connected = on_connected, .on_failed = on_failed};

struct s2s_stream *s2s_out_begin(struct remote *remote, const char *local, const struct s2s_trace *trace)
{
    struct s2s_stream *stream = s2s_stream_new(remote->shard, true);
    enum s2s_failure failure = S2S_DISABLED;
    stream->local = mem_strdup(local);
    stream->domain = mem_strdup(remote->domain);
    if (trace) stream->trace = *trace;
    s2s_stream_enter(stream, remote);
    (void)s2s_stream_add_pair(stream, local, remote->domain, true);
    if (s2s_policy_of(stream->hosts, local, remote->domain, &stream->policy, &failure)) {
        stream->dialer =
            dialer_new(stream->shard, stream->domain, &stream->policy, &stream->trace, &DIALER_EVENTS, stream);
    } else {
        s2s_out_give_up(stream, failure, NULL);
    }
    return stream;
}

/* What an administrator would pin, and what tells which certificate it is. */
static void trace_leaf(struct s2s_stream *stream, X509 *leaf)
{
    uint8_t pin[S2S_PIN_BYTES];
    char fingerprint[S2S_PIN_TEXT_BYTES], issuer[256] = "", until[32] = "";
    struct tm tm = {0};
    if (!stream->trace.fn || !leaf) return;
    server_cert_fingerprint(leaf, pin);
    (void)X509_NAME_get_text_by_NID(X509_get_issuer_name(leaf), NID_commonName, issuer, sizeof(issuer));
    if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) == 1) strftime(until, sizeof(until), "%Y-%m-%d", &tm);
    s2s_trace(&stream->trace, -1, "certificate", "issued by \"%s\", valid until %s", issuer, until);
    s2s_trace(&stream->trace, -1, "key", "%s", s2s_pin_format(pin, fingerprint));
}

static void trace_tls(struct s2s_stream *stream, X509 *leaf)
{
    static const char *const BY[] = {
        [SERVER_CERT_PKIX] = "by an authority", [SERVER_CERT_DANE] = "by DANE", [SERVER_CERT_PIN] = "it is pinned"};
    const char *cipher = NULL, *version = s2s_stream_tls(stream, &cipher);
    s2s_trace(&stream->trace, 1, "tls", "%s, %s", version, cipher);
    trace_leaf(stream, leaf);
    if (stream->cert.by == SERVER_CERT_NONE) {
        const bool needed = stream->policy.secure || stream->cert.denied_by_dns;
        s2s_trace(&stream->trace, needed ? 0 : -1, "certificate", "%s", stream->cert.why);
    } else {
        s2s_trace(&stream->trace, 1, "certificate", "valid for %s (%s)", stream->domain, BY[stream->cert.by]);
    }
}

void s2s_out_secure(struct s2s_stream *stream)
{
    STACK_OF(X509) *chain = tls_ask_chain(io_ssl(stream->peer->io));
    tls_ask_pack(io_ssl(stream->peer->io), false);
    server_cert_check(&stream->cert, hosts_trust(stream->hosts), chain, stream->domain, &stream->policy, stream->way);
    trace_tls(stream, chain ? sk_X509_value(chain, 0) : NULL);
    sk_X509_pop_free(chain, X509_free);
    if (stream->cert.wrong_pin) {
        s2s_out_give_up(stream, S2S_PIN, NULL);
    } else if ((stream->policy.secure || stream->cert.denied_by_dns) && stream->cert.by == SERVER_CERT_NONE) {
        s2s_out_give_up(stream, S2S_CERTIFICATE, stream->cert.why);
    } else {
        send_header(stream);
    }
}

void s2s_out_header(struct s2s_stream *stream, struct elem *header)
{
    const char *content = xml_content_ns(stream->peer->xml), *id = elem_get(header, "id");
    const bool right = elem_is(header, NS_STREAM, "stream") && content && strcmp(content, NS_SERVER) == 0;
    const bool old = stream_header_version(elem_get(header, "version")) == 0;
    free(stream->their_id);
    stream->their_id = mem_strdup(id);
    s2s_stream_set_lang(stream, header);
    elem_free(&header);
    if (!right) {
        note(stream, S2S_BROKEN, "what answers there serves no servers: the stanzas' namespace is not jabber:server");
        s2s_stream_fail(stream, END_BAD_HEADER, "invalid-namespace", NULL);
    } else if (old) {
        note(stream, S2S_BROKEN, "it speaks XMPP before version 1.0");
        s2s_stream_fail(stream, END_BAD_HEADER, "unsupported-version", NULL);
    } else if (stream->state == S2S_OPENING) {
        stream->state = S2S_FEATURES;
    }
}

static bool offers_external(const struct elem *features)
{
    const struct elem *mechanisms = elem_child(features, NS_SASL, "mechanisms");
    const struct elem *mechanism = mechanisms ? elem_child(mechanisms, NS_SASL, "mechanism") : NULL;
    for (; mechanism; mechanism = elem_next_element(mechanism))
        if (strcmp(elem_text(mechanism, NULL), "EXTERNAL") == 0) return true;
    return false;
}

static void send_key(struct s2s_stream *stream, const char *local)
{
    char key[DIALBACK_KEY_BYTES];
    struct buf out = {0};
    dialback_key(stream->shard->backend, stream->domain, local, stream->their_id, key);
    dialback_print(&out, "result", local, stream->domain, NULL, NULL, key);
    s2s_stream_write(stream, &out);
}

static void prove_by_dialback(struct s2s_stream *stream)
{
    if (!stream->policy.dialback) {
        s2s_out_give_up(stream, S2S_NOT_AUTHENTICATED, "it does not take our certificate");
        return;
    }
    stream->state = S2S_ANSWER;
    send_key(stream, stream->local);
    dialback_send(stream);
}

static void prove_by_certificate(struct s2s_stream *stream)
{
    char text[BASE64_TEXT_BYTES(JID_PART_MAX_BYTES)];
    struct buf out = {0};
    (void)base64_encode(stream->local, strlen(stream->local), text);
    buf_printf(&out, "<auth xmlns='" NS_SASL "' mechanism='EXTERNAL'>%s</auth>", text);
    stream->state = S2S_SASL;
    s2s_stream_write(stream, &out);
}

/* proved - the first pair is.  What is only looked at has nothing that could be resumed. */
static void proved(struct s2s_stream *stream)
{
    s2s_trace(&stream->trace, -1, "features", "%s", stream->sm_offered ? "stream management" : "no stream management");
    if (stream->sm_offered && !stream->trace.fn) {
        s2s_sm_begin(stream);
    } else {
        s2s_out_open(stream);
    }
}

/* needs_tls - RFC 7673 section 4: a server of which signed DNS has TLSA records is never spoken to in clear. */
static bool needs_tls(const struct s2s_stream *stream)
{
    return stream->policy.encrypt || (stream->way && stream->way->tlsa_count > 0);
}

static void take_features(struct s2s_stream *stream, const struct elem *features)
{
    const struct elem *dialback = elem_child(features, NS_DIALBACK_FEATURE, "dialback");
    const bool starttls = elem_child(features, NS_TLS, "starttls") != NULL;
    stream->dialback_errors = dialback && elem_child(dialback, NULL, "errors");
    stream->sm_offered = elem_child(features, NS_SM, "sm") != NULL;
    if (stream->restarted) {
        proved(stream);
        return;
    }
    if (!stream->secure && starttls && !stream->policy.onion && hosts_tls_client(stream->hosts, stream->local)) {
        stream->state = S2S_PROCEED;
        peer_write_text(stream->peer, "<starttls xmlns='" NS_TLS "'/>");
        return;
    }
    if (!stream->secure && needs_tls(stream)) {
        s2s_out_give_up(stream, S2S_NO_TLS, stream->policy.encrypt ? NULL : "its TLSA records say that it has TLS");
        return;
    }
    if (!stream->secure) s2s_trace(&stream->trace, -1, "tls", "none");
    const bool bidi = elem_child(features, NS_BIDI_FEATURE, "bidi") != NULL;
    s2s_trace(&stream->trace, -1, "features", "%s, %s", bidi ? "both directions" : "one direction",
              dialback ? "dialback" : "no dialback");
    if (bidi && !stream->trace.fn) { /* what is only looked at is not to be used by the other side */
        stream->bidi = true;
        peer_write_text(stream->peer, "<bidi xmlns='" NS_BIDI "'/>");
    }
    stream->offers_dialback = dialback || !offers_external(features);
    if (stream->secure && offers_external(features)) {
        prove_by_certificate(stream);
    } else {
        prove_by_dialback(stream);
    }
}

static void take_proceed(struct s2s_stream *stream, const struct elem *elem)
{
    if (elem_is(elem, NS_TLS, "proceed")) {
        start_tls(stream, NULL);
    } else {
        s2s_out_give_up(stream, S2S_TLS, "STARTTLS was refused");
    }
}

static const char *condition_of(const struct elem *error)
{
    const struct elem *condition = error ? elem_child(error, NULL, NULL) : NULL;
    return condition ? condition->name : "no reason given";
}

static void take_sasl(struct s2s_stream *stream, const struct elem *elem)
{
    if (elem_is(elem, NS_SASL, "success")) {
        struct s2s_pair *pair = s2s_stream_pair(stream, stream->local, stream->domain, true);
        pair->proof = S2S_PROOF_CERTIFICATE;
        s2s_trace(&stream->trace, 1, "authentication", "by our certificate (EXTERNAL)");
        stream->restarted = true;
        peer_restart(stream->peer);
        send_header(stream);
    } else if (stream->offers_dialback) {
        s2s_trace(&stream->trace, -1, "authentication", "our certificate was refused: %s", condition_of(elem));
        prove_by_dialback(stream);
    } else {
        s2s_out_give_up(stream, S2S_NOT_AUTHENTICATED, condition_of(elem));
    }
}

/* The pair failed, which is the stream's end only if it was its first. */
static void refused(struct s2s_stream *stream, struct s2s_pair *pair, enum s2s_failure failure, const char *why)
{
    if (stream->state == S2S_ANSWER) {
        s2s_out_give_up(stream, failure, why);
    } else {
        s2s_out_pair_failed(pair, failure, why);
    }
}

/* XEP-0220 section 2.4.2: that the other server does not serve the domain is one of the errors. */
static void take_result(struct s2s_stream *stream, const struct elem *elem)
{
    char local[JID_PART_MAX_BYTES + 1], domain[JID_PART_MAX_BYTES + 1];
    const char *to = elem_get(elem, "to"), *from = elem_get(elem, "from"), *type = elem_get(elem, "type");
    struct s2s_pair *pair = NULL;
    if (to && from && jid_prepare_domain(to, local, NULL) == 0 && jid_prepare_domain(from, domain, NULL) == 0)
        pair = s2s_stream_pair(stream, local, domain, true);
    if (!pair || pair->proof != S2S_PROOF_NONE || stream->state < S2S_ANSWER) {
        shard_count(stream->shard, COUNTER_S2S_UNASKED);
        return;
    }
    deadline_disarm(&pair->deadline);
    if (strcmp(type, "valid") == 0) {
        pair->proof = S2S_PROOF_DIALBACK;
        s2s_trace(&stream->trace, 1, "authentication", "by dialback");
        if (stream->state == S2S_ANSWER) {
            proved(stream);
        } else {
            remote_link_up(stream->remote, stream, pair->local);
        }
    } else if (strcmp(type, "invalid") == 0) {
        refused(stream, pair, S2S_KEY_DENIED, NULL);
    } else {
        const char *why = condition_of(elem_child(elem, NULL, "error"));
        const bool unknown = strcmp(why, "item-not-found") == 0 || strcmp(why, "host-unknown") == 0;
        refused(stream, pair, unknown ? S2S_HOST_UNKNOWN : S2S_NOT_AUTHENTICATED, why);
    }
}

static void take_error(struct s2s_stream *stream, const struct elem *error)
{
    const char *why = condition_of(error);
    const bool unknown = strcmp(why, "host-unknown") == 0 || strcmp(why, "host-gone") == 0;
    if (!stream->linked) {
        s2s_out_give_up(stream, unknown ? S2S_HOST_UNKNOWN : S2S_STREAM_ERROR, why);
    } else {
        s2s_stream_close(stream, END_CLIENT_ERROR);
    }
}

void s2s_out_open(struct s2s_stream *stream)
{
    s2s_stream_opened(stream);
    dialer_free(&stream->dialer);
    stream->way = NULL;
    stream->linked = true;
    LIST_EACH (link, &stream->pairs) {
        struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (pair->ours && pair->proof != S2S_PROOF_NONE) remote_link_up(stream->remote, stream, pair->local);
    }
    dialback_send(stream);
    s2s_trace(&stream->trace, 1, "ready", "stanzas can go from %s to %s", stream->local, stream->domain);
}

static bool is_same_proxy(const struct endpoint *a, const struct endpoint *b)
{
    char one[ENDPOINT_TEXT_BYTES], other[ENDPOINT_TEXT_BYTES];
    if (!a || !b) return a == b;
    return strcmp(endpoint_format(a, one, sizeof(one)), endpoint_format(b, other, sizeof(other))) == 0;
}

bool s2s_out_suits(const struct s2s_stream *stream, const char *local)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    if (strcmp(local, stream->local) == 0) return true;
    if (onion_is(local) || onion_is(stream->local)) return false;
    return s2s_policy_of(stream->hosts, local, stream->domain, &policy, &failure) &&
           is_same_proxy(policy.proxy, stream->policy.proxy);
}

bool s2s_out_join(struct s2s_stream *stream, const char *local)
{
    struct s2s_policy policy;
    enum s2s_failure failure = S2S_DISABLED;
    if (!stream->outgoing || !s2s_stream_is_open(stream)) return false;
    if (!stream->dialback_errors || s2s_stream_pair(stream, local, stream->domain, true)) return false;
    if (!s2s_policy_of(stream->hosts, local, stream->domain, &policy, &failure) || !policy.dialback) return false;
    if (!s2s_out_suits(stream, local) || (policy.encrypt && !stream->secure) ||
        (policy.secure && stream->cert.by == SERVER_CERT_NONE))
        return false;
    struct s2s_pair *pair = s2s_stream_add_pair(stream, local, stream->domain, true);
    deadline_arm(stream->shard->s2s->pairs, &pair->deadline);
    send_key(stream, local);
    return true;
}

void s2s_out_elem(struct s2s_stream *stream, struct elem *elem)
{
    const bool answer = elem_get(elem, "type") != NULL;
    if (elem_is(elem, NS_STREAM, "error")) {
        take_error(stream, elem);
    } else if (elem_is(elem, NS_STREAM, "features") && stream->state == S2S_FEATURES && !stream->their_id) {
        note(stream, S2S_BROKEN, "its stream has no id");
        s2s_stream_fail(stream, END_BAD_HEADER, "bad-format", "a stream has an id");
    } else if (elem_is(elem, NS_STREAM, "features") && stream->state == S2S_FEATURES) {
        take_features(stream, elem);
    } else if (stream->state == S2S_PROCEED) {
        take_proceed(stream, elem);
    } else if (elem_is(elem, NS_SASL, NULL) && stream->state == S2S_SASL) {
        take_sasl(stream, elem);
    } else if (elem_is(elem, NS_DIALBACK, "result") && answer) {
        take_result(stream, elem);
    } else if (elem_is(elem, NS_DIALBACK, "verify") && answer) {
        dialback_answer(stream, elem);
    } else if (elem_is(elem, NS_DIALBACK, "result") && stream->bidi && stream->state >= S2S_OPEN) {
        s2s_in_result(stream, elem);
    } else if (elem_is(elem, NS_DIALBACK, "verify")) {
        dialback_verify(stream, elem);
    } else {
        s2s_stream_fail(stream, END_BAD_STANZA, "unsupported-stanza-type", NULL);
    }
    elem_free(&elem);
}
