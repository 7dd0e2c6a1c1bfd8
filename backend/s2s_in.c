#include "backend/s2s_in.h"

#include "backend/backend_config.h"
#include "backend/dialback.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_sm.h"
#include "backend/shard.h"
#include "backend/stream_header.h"
#include "backend/terminated.h"
#include "lib/base64.h"
#include "lib/log.h"
#include "lib/tls_ask.h"

#include <stdlib.h>
#include <string.h>

enum { NEWCOMER_PAIRS_MAX = 8 /* under way, each with a question to another server, when nothing is proved yet */ };
enum { REFUSALS_MAX = 5, REFUSALS_OPEN_MAX = 4 * S2S_PAIRS_MAX /* of a stream that serves for other pairs */ };

static void check_certificate(struct s2s_stream *stream, const char *domain, const struct s2s_policy *policy,
                              struct server_cert *cert)
{
    STACK_OF(X509) *chain = NULL;
    *cert = (struct server_cert){.by = SERVER_CERT_NONE, .why = "no encryption"};
    if (!stream->secure) return;
    if (stream->terminated) {
        server_cert_check(cert, hosts_trust(stream->hosts), stream->terminated->chain, domain, policy, NULL);
        return;
    }
    chain = tls_ask_chain(io_ssl(stream->peer->io));
    tls_ask_pack(io_ssl(stream->peer->io), true); /* for further pairs of domains */
    server_cert_check(cert, hosts_trust(stream->hosts), chain, domain, policy, NULL);
    sk_X509_pop_free(chain, X509_free);
}

/* set_pair - the domains of the header, or of the first proof.  false: they may not talk to each other, and the stream
 * has been told. */
static bool set_pair(struct s2s_stream *stream, const char *local, const char *domain)
{
    enum s2s_failure failure = S2S_DISABLED;
    free(stream->local);
    free(stream->domain);
    stream->local = mem_strdup(local);
    stream->domain = mem_strdup(domain);
    if (!domain) return true;
    if (!s2s_policy_of(stream->hosts, stream->local, stream->domain, &stream->policy, &failure)) {
        const bool denied = failure == S2S_DENIED;
        s2s_stream_fail(stream, denied ? END_DENIED : END_BAD_HEADER, denied ? "policy-violation" : "host-unknown",
                        S2S_FAILURE_ROWS[failure].text);
        return false;
    }
    check_certificate(stream, stream->domain, &stream->policy, &stream->cert);
    return true;
}

/* Whether the domain is one of ours, as far as this stream may know. */
static bool is_served(const struct s2s_stream *stream, const char *domain)
{
    return s2s_policy_serves(stream->hosts, domain) && s2s_stream_sees(stream, domain);
}

/* check_header - NULL, or the stream error and a text for people. */
static const char *check_header(struct s2s_stream *stream, const struct elem *header, char *local, char *domain,
                                const char **text)
{
    const char *to = elem_get(header, "to"), *from = elem_get(header, "from");
    const char *content = xml_content_ns(stream->peer->xml);
    *text = NULL;
    if (strcmp(header->name, "stream") != 0) return "bad-format";
    if (strcmp(header->ns, NS_STREAM) != 0) return "invalid-namespace";
    if (!content || strcmp(content, NS_SERVER) != 0) {
        *text = "the stanzas' namespace is not jabber:server";
        return "invalid-namespace";
    }
    if (stream_header_version(elem_get(header, "version")) == 0) return "unsupported-version";
    if (!to) return "improper-addressing";
    if (jid_prepare_domain(to, local, text) != 0) return "improper-addressing";
    if (!is_served(stream, local)) return "host-unknown";
    domain[0] = '\0';
    if (from && jid_prepare_domain(from, domain, text) != 0) return "improper-addressing";
    if (domain[0] && is_served(stream, domain)) {
        *text = "this is the server of that domain itself";
        return "invalid-from";
    }
    if (!stream->restarted) return NULL;
    if (strcmp(local, stream->local) != 0) return "host-unknown";
    return domain[0] && strcmp(domain, stream->domain) != 0 ? "invalid-from" : NULL;
}

/* Whether TLS can be had on this stream. */
static bool has_tls(const struct s2s_stream *stream)
{
    return !stream->secure && !stream->plain && hosts_tls_server(stream->hosts, stream->local) != NULL;
}

/* Whether the other server has to encrypt before it proves anything. */
static bool must_encrypt(const struct s2s_stream *stream)
{
    return !stream->secure && (stream->domain ? stream->policy.encrypt : has_tls(stream));
}

static void print_features(struct s2s_stream *stream, struct buf *out)
{
    buf_append_str(out, "<stream:features>");
    if (has_tls(stream)) {
        buf_append_str(out, "<starttls xmlns='" NS_TLS "'>");
        if (must_encrypt(stream)) buf_append_str(out, "<required/>");
        buf_append_str(out, "</starttls>");
    }
    if (!must_encrypt(stream)) {
        const bool external = !stream->restarted && stream->cert.by != SERVER_CERT_NONE;
        if (external)
            buf_append_str(out, "<mechanisms xmlns='" NS_SASL "'><mechanism>EXTERNAL</mechanism></mechanisms>");
        if (!stream->restarted) buf_append_str(out, "<bidi xmlns='" NS_BIDI_FEATURE "'/>");
        buf_append_str(out, "<dialback xmlns='" NS_DIALBACK_FEATURE "'><errors/></dialback>");
        stream->sm_offered = !external; /* after dialback there is no other occasion */
        if (stream->sm_offered) s2s_sm_feature(out);
    }
    buf_append_str(out, "</stream:features>");
}

/* opened - the pair is proved, and what it needs besides is done. */
static void opened(struct s2s_stream *stream, const struct s2s_pair *pair)
{
    s2s_stream_opened(stream);
    const bool back = stream->bidi && strcmp(pair->remote, stream->remote->domain) == 0;
    if (back && stream->linked) remote_link_up(stream->remote, stream, pair->local);
    if (!back || stream->linked) {
        remote_heard(stream->shard, pair->remote);
    } else if (!stream->sm_offered) {
        s2s_in_link(stream);
    } else if (!stream->sm) {
        s2s_sm_offer(stream);
    }
}

void s2s_in_link(struct s2s_stream *stream)
{
    if (!stream->bidi || stream->linked) return;
    stream->linked = true;
    LIST_EACH (link, &stream->pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        const bool back = pair->proof != S2S_PROOF_NONE && strcmp(pair->remote, stream->remote->domain) == 0;
        if (back && !pair->one_way) remote_link_up(stream->remote, stream, pair->local);
    }
    remote_heard(stream->shard, stream->remote->domain);
}

/* What an administrator needs to know about a server that cannot talk to us. */
static void log_refused(struct s2s_stream *stream, const char *local, const char *remote, const char *condition,
                        const char *certificate)
{
    struct log_line line;
    shard_count(stream->shard, COUNTER_S2S_REFUSED);
    log_begin(&line, LOG_LEVEL_INFO, "s2s_refused");
    log_str(&line, "condition", condition);
    log_str(&line, "domain", remote);
    log_str(&line, "local", local);
    log_str(&line, "certificate", certificate);
    log_str(&line, "conn", stream->peer->conn);
    log_addr(&line, "peer", &stream->peer->addr);
    log_end(&line);
}

/* RFC 6120 sections 4.7.1 and 4.7.2: an answer says whose it is and whom it is for, also one that refuses. */
static void introduce(struct s2s_stream *stream, const struct elem *header)
{
    char name[JID_PART_MAX_BYTES + 1];
    const char *to = elem_get(header, "to"), *from = elem_get(header, "from");
    if (stream->local) return;
    if (to && jid_prepare_domain(to, name, NULL) == 0 && is_served(stream, name)) stream->local = mem_strdup(name);
    if (from && jid_prepare_domain(from, name, NULL) == 0) stream->domain = mem_strdup(name);
}

void s2s_in_header(struct s2s_stream *stream, struct elem *header)
{
    char local[JID_PART_MAX_BYTES + 1], domain[JID_PART_MAX_BYTES + 1];
    const char *text = NULL, *condition = check_header(stream, header, local, domain, &text);
    if (condition) introduce(stream, header);
    s2s_stream_set_lang(stream, header);
    if (condition) {
        log_refused(stream, elem_get(header, "to"), elem_get(header, "from"), condition, NULL);
        elem_free(&header);
        s2s_stream_fail(stream, END_BAD_HEADER, condition, text);
        return;
    }
    elem_free(&header);
    if (!stream->restarted && !set_pair(stream, local, domain[0] ? domain : NULL)) return;
    struct buf out = {0};
    stream_random_id(stream->peer->id);
    s2s_stream_print_header(stream, &out);
    print_features(stream, &out);
    s2s_stream_write(stream, &out);
    if (stream->state != S2S_OPENING) return;
    stream->state = S2S_PROVING;
    if (stream->restarted) opened(stream, s2s_stream_pair(stream, stream->local, stream->domain, false));
}

void s2s_in_secure(struct s2s_stream *stream)
{
    stream->bidi = false; /* what was said in clear does not count */
}

static void on_moved(void *owner);

/* prove_there - go on with the proof (taken) on the shard of its domain, which the stream belongs to from now on. */
static void prove_there(struct s2s_stream *stream, struct elem *proof)
{
    stream->proof = proof;
    stream->state = S2S_MOVING;
    deadline_disarm(&stream->deadline);
    list_remove(&stream->all);
    peer_move(stream->peer, shard_of(stream->shard->backend, stream->domain), on_moved);
}

static bool has_proved(const struct s2s_stream *stream)
{
    LIST_EACH (link, &stream->pairs) {
        const struct s2s_pair *pair = LIST_ENTRY(link, struct s2s_pair, link);
        if (pair->proof != S2S_PROOF_NONE && strcmp(pair->remote, stream->remote->domain) == 0) return true;
    }
    return false;
}

/* crowd_out - newest has proved that it is the domain's.  Those that only say so neither count nor harm the others. */
static void crowd_out(struct s2s_stream *newest)
{
    struct s2s_stream *oldest = NULL;
    unsigned count = 0;
    if (!has_proved(newest)) return;
    LIST_EACH (link, &newest->remote->streams) {
        struct s2s_stream *stream = LIST_ENTRY(link, struct s2s_stream, link);
        if (stream->outgoing || stream->state >= S2S_CLOSING || !has_proved(stream)) continue;
        if (!oldest && stream != newest) oldest = stream;
        count++;
    }
    if (count > newest->policy.streams && oldest)
        s2s_stream_fail(oldest, END_CONFLICT, "conflict", "newer streams took this one's place");
}

static void on_moved(void *owner)
{
    struct s2s_stream *stream = s2s_stream_of(owner);
    struct elem *proof = stream->proof;
    stream->proof = NULL;
    stream->shard = stream->peer->shard;
    stream->state = S2S_PROVING;
    list_append(&stream->shard->s2s->all, &stream->all);
    deadline_arm(stream->shard->s2s->hurry, &stream->deadline);
    s2s_stream_enter(stream, remote_get(stream->shard, stream->domain));
    if (stream->shard->stopping) {
        elem_free(&proof);
        s2s_stream_fail(stream, END_SHUTDOWN, "system-shutdown", NULL);
        return;
    }
    s2s_in_elem(stream, proof);
    peer_go_on(stream->peer);
}

static void refuse_sasl(struct s2s_stream *stream, const char *condition)
{
    struct buf out = {0};
    buf_printf(&out, "<failure xmlns='" NS_SASL "'><%s/></failure>", condition);
    s2s_stream_write(stream, &out);
    log_refused(stream, stream->local, stream->domain, condition, stream->cert.why);
    if (++stream->refusals >= REFUSALS_MAX)
        s2s_stream_fail(stream, END_AUTH_FAILED, "policy-violation", "too many failed proofs");
}

/* check_identity - XEP-0178 section 3: the identity in the exchange, if there is one, is the domain in the header.
 * NULL: it is; else the failure. */
static const char *check_identity(const struct s2s_stream *stream, const char *text)
{
    uint8_t data[BASE64_DATA_BYTES(4096)];
    char domain[JID_PART_MAX_BYTES + 1];
    const size_t len = strlen(text);
    if (len == 0 || strcmp(text, "=") == 0) return NULL;
    if (len > 4096) return "invalid-authzid";
    const ssize_t got = base64_decode(text, len, data);
    if (got < 0) return "incorrect-encoding";
    if ((size_t)got > JID_PART_MAX_BYTES || memchr(data, '\0', (size_t)got)) return "invalid-authzid";
    char *identity = mem_strndup((const char *)data, (size_t)got);
    const bool same = jid_prepare_domain(identity, domain, NULL) == 0 && strcmp(domain, stream->domain) == 0;
    free(identity);
    return same ? NULL : "invalid-authzid";
}

static void take_auth(struct s2s_stream *stream, struct elem *elem)
{
    const char *mechanism = elem_get(elem, "mechanism"), *condition = NULL;
    if (must_encrypt(stream)) {
        condition = "encryption-required";
    } else if (!mechanism || strcmp(mechanism, "EXTERNAL") != 0) {
        condition = "invalid-mechanism";
    } else if (!stream->domain || stream->cert.by == SERVER_CERT_NONE) {
        condition = "not-authorized";
    } else {
        condition = check_identity(stream, elem_text(elem, NULL));
    }
    if (condition) {
        elem_free(&elem);
        refuse_sasl(stream, condition);
        return;
    }
    if (!stream->remote) {
        prove_there(stream, elem);
        return;
    }
    elem_free(&elem);
    struct s2s_pair *pair = s2s_stream_pair(stream, stream->local, stream->domain, false);
    if (!pair) pair = s2s_stream_add_pair(stream, stream->local, stream->domain, false);
    pair->proof = S2S_PROOF_CERTIFICATE;
    crowd_out(stream);
    peer_write_text(stream->peer, "<success xmlns='" NS_SASL "'/>");
    peer_restart(stream->peer);
    stream->restarted = true;
    stream->state = S2S_OPENING;
}

static void answer_result(struct s2s_stream *stream, const char *local, const char *remote, const char *type)
{
    struct buf out = {0};
    dialback_print(&out, "result", local, remote, NULL, type, NULL);
    s2s_stream_write(stream, &out);
}

static void refuse_result(struct s2s_stream *stream, const char *local, const char *remote, const char *condition,
                          const char *certificate)
{
    struct buf out = {0};
    dialback_print_error(&out, "result", local, remote, NULL, condition);
    s2s_stream_write(stream, &out);
    log_refused(stream, local, remote, condition, certificate);
    if (++stream->refusals >= (stream->state == S2S_PROVING ? REFUSALS_MAX : REFUSALS_OPEN_MAX))
        s2s_stream_fail(stream, END_AUTH_FAILED, "policy-violation", "too many failed proofs");
}

static void accept_pair(struct s2s_pair *pair, enum s2s_proof proof)
{
    struct s2s_stream *stream = pair->stream;
    pair->proof = proof;
    pair->one_way = false;
    answer_result(stream, pair->local, pair->remote, "valid");
    if (stream->state == S2S_PROVING) crowd_out(stream);
    if (stream->state < S2S_CLOSING) opened(stream, pair);
}

static void on_verdict(enum dialback_verdict verdict, const char *error, void *arg)
{
    struct s2s_pair *pair = arg;
    struct s2s_stream *stream = pair->stream;
    pair->asks = NULL;
    switch (verdict) {
    case DIALBACK_VALID:
        accept_pair(pair, S2S_PROOF_DIALBACK);
        return;
    case DIALBACK_INVALID: /* XEP-0220 section 2.2.1: the stream ends, but for the sake of others that are on it */
        if (stream->state != S2S_PROVING) {
            refuse_result(stream, pair->local, pair->remote, "forbidden", NULL);
            break;
        }
        answer_result(stream, pair->local, pair->remote, "invalid");
        log_refused(stream, pair->local, pair->remote, "invalid", NULL);
        s2s_stream_close(stream, END_AUTH_FAILED);
        break;
    case DIALBACK_ERROR:
        refuse_result(stream, pair->local, pair->remote, error, NULL);
        break;
    }
    s2s_pair_free(pair);
}

static unsigned count_pairs(const struct s2s_stream *stream)
{
    unsigned count = 0;
    LIST_EACH (link, &stream->pairs)
        count++;
    return count;
}

/* Whether that is the pair of the header, whose certificate is checked already. */
static bool is_first(const struct s2s_stream *stream, const char *local, const char *remote)
{
    return stream->domain && strcmp(remote, stream->domain) == 0 && strcmp(local, stream->local) == 0;
}

/* may_prove - NULL: dialback may prove the pair, or cert has; else the error for the other server. */
static const char *may_prove(struct s2s_stream *stream, const char *local, const char *remote, struct server_cert *cert)
{
    struct s2s_policy policy;
    enum s2s_failure failure = S2S_DISABLED;
    if (!is_served(stream, local)) return "item-not-found";
    if (is_served(stream, remote)) return "not-acceptable";
    if (!s2s_policy_of(stream->hosts, local, remote, &policy, &failure))
        return failure == S2S_DENIED ? "policy-violation" : "item-not-found";
    if (policy.encrypt && !stream->secure) return "policy-violation";
    const unsigned most = stream->state == S2S_PROVING ? NEWCOMER_PAIRS_MAX : S2S_PAIRS_MAX;
    if (count_pairs(stream) >= most) return "resource-constraint";
    if (is_first(stream, local, remote)) {
        *cert = stream->cert;
    } else {
        check_certificate(stream, remote, &policy, cert);
    }
    if (cert->wrong_pin) return "not-authorized";
    if (cert->by != SERVER_CERT_NONE) return NULL;
    return policy.secure || !policy.dialback ? "not-authorized" : NULL;
}

/* XEP-0220 section 2.2. */
void s2s_in_result(struct s2s_stream *stream, const struct elem *elem)
{
    char remote[JID_PART_MAX_BYTES + 1], local[JID_PART_MAX_BYTES + 1];
    const char *from = elem_get(elem, "from"), *to = elem_get(elem, "to");
    struct server_cert cert = {.by = SERVER_CERT_NONE};
    if (!from || !to || jid_prepare_domain(from, remote, NULL) != 0 || jid_prepare_domain(to, local, NULL) != 0) {
        s2s_stream_fail(stream, END_BAD_STANZA, "improper-addressing", NULL);
        return;
    }
    struct s2s_pair *pair = s2s_stream_pair(stream, local, remote, false);
    if (pair) { /* asked for twice */
        if (pair->one_way) {
            accept_pair(pair, pair->proof);
        } else if (pair->proof != S2S_PROOF_NONE) {
            answer_result(stream, local, remote, "valid");
        }
        return;
    }
    const char *condition = may_prove(stream, local, remote, &cert);
    if (condition) {
        refuse_result(stream, local, remote, condition, cert.why);
        return;
    }
    if (!stream->remote) {
        if (is_first(stream, local, remote) || set_pair(stream, local, remote)) prove_there(stream, elem_copy(elem));
        return;
    }
    pair = s2s_stream_add_pair(stream, local, remote, false);
    if (cert.by != SERVER_CERT_NONE) {
        accept_pair(pair, S2S_PROOF_CERTIFICATE);
        return;
    }
    pair->asks = dialback_ask(stream->shard, remote, local, stream->peer->id, elem_text(elem, NULL), on_verdict, pair);
}

static void take_starttls(struct s2s_stream *stream)
{
    if (!has_tls(stream)) {
        peer_write_text(stream->peer, "<failure xmlns='" NS_TLS "'/>");
        s2s_stream_close(stream, END_BAD_STANZA);
        return;
    }
    peer_write_text(stream->peer, "<proceed xmlns='" NS_TLS "'/>");
    stream->state = S2S_SECURING;
    peer_secure(stream->peer, hosts_tls_server(stream->hosts, stream->local));
}

static void misplaced(struct s2s_stream *stream, const struct elem *elem)
{
    if (strcmp(elem->ns, NS_SERVER) == 0) {
        s2s_stream_fail(stream, END_NOT_AUTHORIZED, "not-authorized", NULL);
    } else if (strcmp(elem->ns, NS_CLIENT) == 0) {
        s2s_stream_fail(stream, END_BAD_STANZA, "invalid-namespace", "this is no stream of a client");
    } else {
        s2s_stream_fail(stream, END_BAD_STANZA, "unsupported-stanza-type", NULL);
    }
}

void s2s_in_elem(struct s2s_stream *stream, struct elem *elem)
{
    const bool proving = stream->state == S2S_PROVING && !stream->restarted;
    if (proving && elem_is(elem, NS_SASL, "auth")) {
        take_auth(stream, elem);
        return;
    }
    if (elem_is(elem, NS_STREAM, "error")) {
        s2s_stream_close(stream, END_CLIENT_ERROR);
    } else if (proving && elem_is(elem, NS_TLS, "starttls") && !stream->remote) {
        take_starttls(stream);
    } else if (elem_is(elem, NS_DIALBACK, NULL) && elem_get(elem, "type")) {
        shard_count(stream->shard, COUNTER_S2S_UNASKED); /* an answer that nobody has asked for */
    } else if (elem_is(elem, NS_DIALBACK, "verify") && !must_encrypt(stream)) {
        dialback_verify(stream, elem);
    } else if (elem_is(elem, NS_DIALBACK, "result")) {
        s2s_in_result(stream, elem);
    } else if (elem_is(elem, NS_BIDI, "bidi") && proving && !must_encrypt(stream)) {
        stream->bidi = true;
    } else {
        misplaced(stream, elem);
    }
    elem_free(&elem);
}

struct s2s_arrival {
    struct shard *shard;
    struct stream_origin origin;
};

static void on_begin(void *arg)
{
    struct s2s_arrival *arrival = arg;
    struct s2s_stream *stream = s2s_stream_new(arrival->shard, false);
    const struct peer_origin origin = {
        .fd = arrival->origin.fd, .addr = arrival->origin.peer, .conn = arrival->origin.id};
    stream->newcomer = arrival->origin.newcomer;
    stream->plain = arrival->origin.plain;
    s2s_stream_connected(stream, &origin);
    if (arrival->origin.direct_tls) {
        stream->state = S2S_SECURING;
        peer_secure(stream->peer, hosts_tls_server(stream->hosts, NULL));
    }
    if (stream->shard->stopping) s2s_stream_fail(stream, END_SHUTDOWN, "system-shutdown", NULL);
    free(arrival);
}

void s2s_in_begin(struct shard *shard, const struct stream_origin *origin)
{
    struct s2s_arrival *arrival = MEM_NEW(struct s2s_arrival);
    arrival->shard = shard;
    arrival->origin = *origin;
    mailbox_post(shard->mailbox, on_begin, arrival);
}

void s2s_in_take_over(struct shard *shard, struct s2s_leaver *leaver)
{
    struct s2s_stream *stream = s2s_stream_new(shard, false);
    stream->newcomer = leaver->newcomer;
    stream->secure = leaver->secure;
    stream->plain = leaver->plain;
    stream->terminated = leaver->terminated;
    s2s_stream_connected(stream, &leaver->origin);
    stream->peer->held = leaver->held;
    s2s_in_header(stream, leaver->header);
    peer_go_on(stream->peer);
}
