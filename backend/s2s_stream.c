#include "backend/s2s_stream.h"

#include "backend/backend_config.h"
#include "backend/delay.h"
#include "backend/dialback.h"
#include "backend/host.h"
#include "backend/newcomers.h"
#include "backend/ns.h"
#include "backend/remote.h"
#include "backend/router.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_in.h"
#include "backend/s2s_out.h"
#include "backend/s2s_sm.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/stream_header.h"
#include "backend/stream_pace.h"
#include "backend/terminated.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    S2S_MAGIC = 0x73327374,
    OUTPUT_MAX_BYTES = 16 * 1024 * 1024 /* a server speaks for many */,
    NEWCOMER_OUTPUT_MAX_BYTES = 256 * 1024
};

struct s2s_stream *s2s_stream_of(void *arg)
{
    struct s2s_stream *stream = arg;
    CHECK_MAGIC(stream, S2S_MAGIC);
    return stream;
}

const char *s2s_stream_state_name(const struct s2s_stream *stream)
{
    static const char *const NAMES[] = {
        [S2S_DIALING] = "connecting", [S2S_SECURING] = "securing", [S2S_OPENING] = "opening",
        [S2S_FEATURES] = "features",  [S2S_PROCEED] = "starttls",  [S2S_SASL] = "authenticating",
        [S2S_ANSWER] = "dialback",    [S2S_RESUMING] = "resuming", [S2S_PROVING] = "proving",
        [S2S_MOVING] = "moving",      [S2S_OPEN] = "open",         [S2S_PAUSED] = "paused",
        [S2S_CLOSING] = "closing",    [S2S_ENDED] = "ended",
    };
    return NAMES[stream->state];
}

const char *s2s_proof_name(enum s2s_proof proof)
{
    static const char *const NAMES[] = {
        [S2S_PROOF_NONE] = NULL, [S2S_PROOF_CERTIFICATE] = "certificate", [S2S_PROOF_DIALBACK] = "dialback"};
    return NAMES[proof];
}

const char *s2s_stream_tls(const struct s2s_stream *stream, const char **cipher)
{
    const struct terminated *terminated = stream->terminated;
    SSL *ssl = stream->peer && stream->secure && !terminated ? io_ssl(stream->peer->io) : NULL;
    *cipher = NULL;
    if (terminated) {
        *cipher = terminated->cipher[0] ? terminated->cipher : NULL;
        return terminated->version[0] ? terminated->version : NULL;
    }
    if (!ssl) return NULL;
    *cipher = SSL_get_cipher_name(ssl);
    return SSL_get_version(ssl);
}

static enum s2s_proof proof_of(const struct s2s_stream *stream)
{
    LIST_EACH (link, &stream->pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (pair->proof != S2S_PROOF_NONE) return pair->proof;
    }
    return S2S_PROOF_NONE;
}

void s2s_stream_log(const struct s2s_stream *stream, const char *event)
{
    const struct peer_stream *peer = stream->peer;
    const bool over = stream->state == S2S_CLOSING || stream->state == S2S_ENDED;
    const char *cipher = NULL, *version = s2s_stream_tls(stream, &cipher);
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, event);
    if (over && peer) log_str(&line, "reason", end_reason_name(peer->end));
    log_str(&line, "direction", stream->outgoing ? "out" : "in");
    log_str(&line, "conn", peer ? peer->conn : NULL);
    if (peer) log_addr(&line, "peer", &peer->addr);
    log_str(&line, "domain", stream->domain);
    log_str(&line, "local", stream->local);
    log_str(&line, "proof", s2s_proof_name(proof_of(stream)));
    log_str(&line, "tls", version);
    log_str(&line, "cipher", cipher);
    log_str(&line, "by", stream->terminated ? "gateway" : NULL);
    log_str(&line, "certificate", stream->secure ? stream->cert.why : NULL);
    if (stream->bidi) log_str(&line, "bidi", "true");
    if (s2s_sm_is_on(stream)) log_str(&line, "sm", "true");
    if (over && peer) log_str(&line, "why", peer->why);
    log_end(&line);
}

struct s2s_pair *s2s_stream_pair(const struct s2s_stream *stream, const char *local, const char *remote, bool ours)
{
    LIST_EACH (link, &stream->pairs) {
        struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (pair->ours == ours && strcmp(pair->remote, remote) == 0 && strcmp(pair->local, local) == 0) return pair;
    }
    return NULL;
}

struct s2s_pair *s2s_stream_add_pair(struct s2s_stream *stream, const char *local, const char *remote, bool ours)
{
    struct s2s_pair *pair = MEM_NEW(struct s2s_pair);
    pair->stream = stream;
    pair->local = mem_strdup(local);
    pair->remote = mem_strdup(remote);
    pair->ours = ours;
    list_append(&stream->pairs, &pair->link);
    return pair;
}

void s2s_pair_free(struct s2s_pair *pair)
{
    list_remove(&pair->link);
    deadline_disarm(&pair->deadline);
    dialback_cancel(&pair->asks);
    free(pair->local);
    free(pair->remote);
    free(pair);
}

bool s2s_stream_will_carry(const struct s2s_stream *stream, const char *local)
{
    const bool soon = s2s_stream_is_open(stream) || stream->state == S2S_RESUMING;
    if (stream->outgoing || !stream->bidi || stream->linked || !soon) return false;
    const struct s2s_pair *pair = s2s_stream_pair(stream, local, stream->remote->domain, false);
    return pair && pair->proof != S2S_PROOF_NONE && !pair->one_way;
}

/* On a stream with XEP-0288 a proof of one side opens both ways for its pair. */
bool s2s_stream_carries(const struct s2s_stream *stream, const char *local)
{
    if (!s2s_stream_is_open(stream) || !stream->linked) return false;
    const struct s2s_pair *pair = s2s_stream_pair(stream, local, stream->remote->domain, stream->outgoing);
    return pair && pair->proof != S2S_PROOF_NONE && !pair->one_way && (stream->outgoing || stream->bidi);
}

void s2s_stream_write(struct s2s_stream *stream, struct buf *buf)
{
    if (stream->peer) {
        peer_write(stream->peer, buf);
    } else {
        buf_free(buf);
    }
}

size_t s2s_stream_pending(const struct s2s_stream *stream)
{
    return stream->peer ? peer_pending(stream->peer) : 0;
}

void s2s_stream_fail(struct s2s_stream *stream, enum end_reason end, const char *condition, const char *text)
{
    s2s_sm_farewell(stream);
    if (stream->peer) {
        peer_fail(stream->peer, end, condition, text);
    } else {
        s2s_stream_abort(stream, end);
    }
}

void s2s_stream_fail_with(struct s2s_stream *stream, enum end_reason end, const char *condition, const char *xml)
{
    if (stream->peer) peer_fail_with(stream->peer, end, condition, xml);
}

void s2s_stream_close(struct s2s_stream *stream, enum end_reason end)
{
    s2s_sm_farewell(stream);
    if (stream->peer) {
        peer_close(stream->peer, end);
    } else {
        s2s_stream_abort(stream, end);
    }
}

static void on_gone(void *arg)
{
    s2s_stream_free(s2s_stream_of(arg));
}

/* Without a connection there is nothing to end but itself. */
void s2s_stream_abort(struct s2s_stream *stream, enum end_reason end)
{
    if (stream->peer) {
        peer_abort(stream->peer, end);
        return;
    }
    if (stream->state == S2S_ENDED) return;
    stream->state = S2S_ENDED;
    dialer_free(&stream->dialer);
    stream->gone.fn = on_gone;
    stream->gone.arg = stream;
    loop_defer(stream->shard->loop, &stream->gone);
}

/* RFC 6120 section 4.7.1: whoever was meant, we are somebody; but a host that hides is not named in public. */
static const char *any_name(const struct s2s_stream *stream)
{
    const char *name = hosts_first(stream->hosts, stream->plain)->domain;
    return stream->plain || !hosts_hides(stream->hosts, name) ? name : NULL;
}

void s2s_stream_print_header(struct s2s_stream *stream, struct buf *out)
{
    buf_append_str(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_SERVER "' xmlns:stream='" NS_STREAM
                        "' xmlns:db='" NS_DIALBACK "' version='1.0' xml:lang='" STREAM_HEADER_LANG "'");
    if (!stream->outgoing) buf_printf(out, " id='%s'", stream->peer->id);
    const char *local = stream->local ? stream->local : any_name(stream);
    if (local) {
        buf_append_str(out, " from='");
        elem_escape(local, strlen(local), out);
        buf_append_str(out, "'");
    }
    if (stream->domain) {
        buf_append_str(out, " to='");
        elem_escape(stream->domain, strlen(stream->domain), out);
        buf_append_str(out, "'");
    }
    buf_append_str(out, ">");
    stream->peer->header_sent = true;
}

void s2s_stream_set_lang(struct s2s_stream *stream, const struct elem *header)
{
    const char *lang = stream_header_lang(header);
    free(stream->lang);
    stream->lang = lang && strcmp(lang, STREAM_HEADER_LANG) != 0 ? mem_strdup(lang) : NULL;
}

static bool has_shown_certificate(const struct s2s_stream *stream, const char *remote)
{
    LIST_EACH (link, &stream->pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (!pair->ours && pair->proof == S2S_PROOF_CERTIFICATE && strcmp(pair->remote, remote) == 0) return true;
    }
    return false;
}

bool s2s_stream_sees(const struct s2s_stream *stream, const char *domain)
{
    if (stream->plain || !hosts_hides(stream->hosts, domain)) return true;
    return stream->outgoing && strcmp(domain, stream->local) == 0;
}

/* Whether the domain may come here at all, to whichever of ours. */
static bool has_proved(const struct s2s_stream *stream, const char *remote)
{
    LIST_EACH (link, &stream->pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        const bool theirs = !pair->ours || stream->outgoing;
        if (theirs && pair->proof != S2S_PROOF_NONE && strcmp(pair->remote, remote) == 0) return true;
    }
    return false;
}

/* may_come - NULL: the other server may write from and to these domains on this stream, as proved by dialback for that
 * pair; or by its certificate, which is good for every host of ours.  Else the stream error. */
static const char *may_come(struct s2s_stream *stream, const char *from, const char *to)
{
    struct s2s_policy policy;
    enum s2s_failure failure;
    if (stream->outgoing && !stream->bidi) return "invalid-from";
    const struct s2s_pair *pair = s2s_stream_pair(stream, to, from, false);
    if (!pair && stream->outgoing) pair = s2s_stream_pair(stream, to, from, true);
    const bool proved = pair && pair->proof != S2S_PROOF_NONE;
    if (proved) return s2s_policy_serves(stream->hosts, to) ? NULL : "host-gone";
    if (!has_proved(stream, from)) return "invalid-from";
    if (pair || !has_shown_certificate(stream, from) || !s2s_policy_serves(stream->hosts, to) ||
        !s2s_stream_sees(stream, to) || !s2s_policy_of(stream->hosts, to, from, &policy, &failure))
        return "host-unknown";
    struct s2s_pair *added = s2s_stream_add_pair(stream, to, from, false);
    added->proof = S2S_PROOF_CERTIFICATE;
    added->one_way = true;
    return NULL;
}

void s2s_stream_rest(struct s2s_stream *stream)
{
    const int64_t left = stream->resume_ms - loop_now_ms(stream->shard->loop);
    stream->state = S2S_PAUSED;
    peer_hold(stream->peer);
    deadline_arm(left > STREAM_REST_MS ? stream->shard->s2s->rest : stream->shard->s2s->pause, &stream->deadline);
}

/* pace - an element was taken, which was a stanza or none; ahead: there is too much for whom it was. */
static void pace(struct s2s_stream *stream, unsigned stanzas, bool ahead)
{
    const struct s2s_policy *policy = &stream->policy;
    const int64_t now = loop_now_ms(stream->shard->loop);
    const int64_t for_stanzas = shaper_charge(&stream->stanza_shaper, policy->stanza_rate, stanzas, now);
    const int64_t for_bytes = shaper_charge(&stream->byte_shaper, policy->byte_rate, stream->peer->unit_bytes, now);
    const int64_t wait = for_stanzas > for_bytes ? for_stanzas : for_bytes;
    if (stream->state != S2S_OPEN || (wait == 0 && !ahead)) return;
    shard_count(stream->shard, wait > 0 ? COUNTER_RESTS : COUNTER_PAUSES);
    stream->resume_ms = now + wait;
    s2s_stream_rest(stream);
}

/* The domain of what may be no address otherwise. */
static bool domain_of(const char *text, char out[JID_PART_MAX_BYTES + 1])
{
    const size_t len = text ? strcspn(text, "/") : 0;
    const char *at = len > 0 ? memchr(text, '@', len) : NULL;
    char *domain = len > 0 ? mem_strndup(at ? at + 1 : text, at ? len - (size_t)(at + 1 - text) : len) : NULL;
    const bool is_one = domain && jid_prepare_domain(domain, out, NULL) == 0;
    free(domain);
    return is_one;
}

/* address - give the stanza its addresses.  NULL, or the stream error for a wrong domain; *stanza is NULL when it has
 * been dealt with: what is wrong before or behind its domains is the fault of one of its users, whose other users and
 * whose server could not help it, and would lose the stream for it. */
static const char *address(struct s2s_stream *stream, struct stanza **stanza)
{
    const char *from_text = elem_get((*stanza)->elem, "from"), *to_text = elem_get((*stanza)->elem, "to");
    char from_domain[JID_PART_MAX_BYTES + 1], to_domain[JID_PART_MAX_BYTES + 1];
    if (!domain_of(from_text, from_domain) || !domain_of(to_text, to_domain)) return "improper-addressing";
    const char *condition = may_come(stream, from_domain, to_domain);
    if (condition) return condition;
    struct jid *from = jid_parse(from_text, strlen(from_text), NULL);
    struct jid *to = jid_parse(to_text, strlen(to_text), NULL);
    if (from && to) {
        stanza_address(*stanza, from, to);
    } else if (from) {
        stanza_address(*stanza, from, jid_parse(to_domain, strlen(to_domain), NULL)); /* the host answers */
        stanza_error_bounce(stream->shard, *stanza, STANZA_ERROR_JID_MALFORMED);
        *stanza = NULL;
    } else {
        jid_free(&to);
        shard_count(stream->shard, COUNTER_STANZAS_DROPPED); /* nobody could be told */
        stanza_free(stanza);
    }
    return NULL;
}

/* RFC 6120 sections 8.1.1.2 and 8.1.2.2. */
void s2s_stream_take(struct s2s_stream *stream, struct elem *elem)
{
    struct shard *shard = stream->shard;
    elem_change_ns(elem, NS_SERVER, NS_CLIENT);
    struct stanza *stanza = stanza_new(elem);
    if (!stanza) {
        elem_free(&elem);
        s2s_stream_fail(stream, END_BAD_STANZA, "unsupported-stanza-type", NULL);
        return;
    }
    s2s_sm_received(stream, stanza);
    stream->used_ms = loop_now_ms(shard->loop);
    shard_count(shard, COUNTER_S2S_IN);
    const char *condition = address(stream, &stanza);
    if (condition) {
        stanza_free(&stanza);
        s2s_stream_fail(stream, END_BAD_STANZA, condition, NULL);
    }
    if (!stanza) {
        pace(stream, 1, false);
        return;
    }
    /* RFC 6120 section 8.1.5: what is said nowhere else is said by the header, which does not go on with the stanza */
    if (stream->lang && !elem_get_ns(elem, NS_XML, "lang")) elem_set_ns(elem, NS_XML, "lang", stream->lang);
    if (stanza->kind != STANZA_IQ) delay_strip(elem, stanza->to->domain);
    const bool answer = stanza->type == STANZA_ERROR || stanza->type == STANZA_RESULT;
    bool ahead = false;
    if (answer && !stanza->to->local && remote_takes_answer(stream->remote, stanza)) {
        stanza_free(&stanza);
    } else if (!stanza_is_right(stanza)) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_BAD_REQUEST);
    } else {
        ahead = !router_deliver(shard, stanza);
    }
    pace(stream, 1, ahead);
}

static bool is_stanza(const struct elem *elem)
{
    return strcmp(elem->ns, NS_SERVER) == 0;
}

static void on_elem(void *owner, struct elem *elem)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    const bool may = s2s_stream_is_open(stream) || (stream->state == S2S_RESUMING && stream->bidi);
    if (may && is_stanza(elem)) {
        s2s_stream_take(stream, elem);
        return;
    }
    if (elem_is(elem, NS_SM, NULL)) {
        s2s_sm_element(stream, elem);
    } else if (stream->outgoing) {
        s2s_out_elem(stream, elem);
    } else {
        s2s_in_elem(stream, elem);
    }
    if (stream->state == S2S_OPEN) pace(stream, 0, false); /* each has an answer, or leads to a question */
}

static void on_header(void *owner, struct elem *header)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    if (stream->outgoing) {
        s2s_out_header(stream, header);
    } else {
        s2s_in_header(stream, header);
    }
}

static void on_secure(void *owner)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    stream->secure = true;
    stream->cert.why = NULL; /* until it is looked at */
    stream->state = S2S_OPENING;
    if (stream->outgoing) {
        s2s_out_secure(stream);
    } else {
        s2s_in_secure(stream);
    }
}

static void on_drained(void *owner)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    if (stream->linked) remote_link_drained(stream->remote, stream);
}

static void print_header(void *owner, struct buf *out)
{
    s2s_stream_print_header(s2s_stream_of(owner), out);
}

static void on_closing(void *owner)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    stream->state = S2S_CLOSING;
    deadline_disarm(&stream->deadline);
}

/* What was on its way when we closed is still taken, if the other server has done no wrong (RFC 6120 section 4.4). */
static void on_last_words(void *owner, struct elem *elem)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    const enum end_reason end = stream->peer->end;
    const bool innocent = end == END_SHUTDOWN || end == END_IDLE || end == END_KICKED || end == END_CONFLICT;
    const bool comes_again = s2s_sm_is_on(stream); /* what was not acknowledged */
    if (innocent && !comes_again && stream->remote && is_stanza(elem)) {
        s2s_stream_take(stream, elem);
    } else {
        elem_free(&elem);
    }
}

static void is_no_newcomer(struct s2s_stream *stream)
{
    if (stream->newcomer) newcomers_leave(stream->shard->backend->newcomers, &stream->peer->addr);
    stream->newcomer = false;
}

static void on_end(void *owner)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    s2s_stream_log(stream, "s2s_end");
    is_no_newcomer(stream);
    if (stream->outgoing && s2s_out_ended(stream)) return;
    s2s_stream_free(stream);
}

static const struct peer_events EVENTS = {
    .on_secure = on_secure,
    .on_header = on_header,
    .on_elem = on_elem,
    .on_drained = on_drained,
    .print_header = print_header,
    .on_closing = on_closing,
    .on_last_words = on_last_words,
    .on_end = on_end,
};

void s2s_stream_connected(struct s2s_stream *stream, const struct peer_origin *origin)
{
    stream->peer = peer_stream_new(stream->shard, origin, &EVENTS, stream);
    stream->peer->output_max = stream->outgoing ? OUTPUT_MAX_BYTES : NEWCOMER_OUTPUT_MAX_BYTES;
    stream_random_id(stream->peer->id);
    deadline_arm(stream->shard->s2s->hurry, &stream->deadline);
    shard_count(stream->shard, COUNTER_S2S_STREAMS);
}

void s2s_stream_enter(struct s2s_stream *stream, struct remote *remote)
{
    stream->remote = remote;
    list_append(&remote->streams, &stream->link);
}

void s2s_stream_trust(struct s2s_stream *stream)
{
    struct xml_limits limits = XML_LIMITS_AUTHENTICATED;
    limits.stanza_bytes = stream->policy.stanza_bytes;
    stream->peer->output_max = OUTPUT_MAX_BYTES;
    peer_set_limits(stream->peer, &limits);
}

void s2s_stream_opened(struct s2s_stream *stream)
{
    if (s2s_stream_is_open(stream)) return;
    stream->state = S2S_OPEN;
    is_no_newcomer(stream);
    deadline_disarm(&stream->deadline);
    s2s_stream_trust(stream);
    stream->used_ms = loop_now_ms(stream->shard->loop);
    s2s_stream_log(stream, "s2s_open");
}

struct s2s_stream *s2s_stream_new(struct shard *shard, bool outgoing)
{
    struct s2s_stream *stream = MEM_NEW(struct s2s_stream);
    stream->magic = S2S_MAGIC;
    stream->outgoing = outgoing;
    stream->state = outgoing ? S2S_DIALING : S2S_OPENING;
    stream->shard = shard;
    stream->hosts = hosts_ref(shard->hosts);
    stream->begun_ms = stream->used_ms = loop_now_ms(shard->loop);
    list_init(&stream->pairs);
    list_init(&stream->waiting);
    list_init(&stream->asked);
    s2s_unacked_init(&stream->unacked, stream);
    list_append(&shard->s2s->all, &stream->all);
    return stream;
}

void s2s_stream_free(struct s2s_stream *stream)
{
    struct remote *remote = stream->remote;
    s2s_sm_gone(stream);
    stream->state = S2S_ENDED;
    loop_defer_cancel(&stream->gone);
    deadline_disarm(&stream->deadline);
    list_remove(&stream->all);
    list_remove(&stream->link);
    dialback_drop(stream);
    if (remote) {
        s2s_out_tell_failed(stream);
        remote_link_gone(remote, stream);
    }
    LIST_EACH (link, &stream->pairs)
        s2s_pair_free(LIST_ENTRY(link, struct s2s_pair, link));
    dialer_free(&stream->dialer);
    terminated_free(&stream->terminated);
    hosts_unref(&stream->hosts);
    free(stream->local);
    free(stream->domain);
    free(stream->their_id);
    free(stream->lang);
    free(stream->why);
    elem_free(&stream->proof);
    stream->magic = 0;
    loop_defer_free(stream->shard->loop, stream);
    if (remote) remote_release(remote);
}
