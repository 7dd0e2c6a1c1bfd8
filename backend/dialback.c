#include "backend/dialback.h"

#include "backend/host.h"
#include "backend/jid.h"
#include "backend/ns.h"
#include "backend/remote.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_out.h"
#include "backend/s2s_stream.h"
#include "backend/shard.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A question is made on the shard of who asks, goes to that of the domain, and comes back.  Both ends own it: who asks
 * until it has cancelled, the other shard until it has answered. */
struct dialback {
    struct list link; /* stream->waiting or asked */
    struct deadline deadline;
    struct shard *here, *there;
    struct s2s_stream *stream; /* there; NULL: none */
    char *domain, *local, *id, *key;
    dialback_fn *fn; /* NULL: cancelled; here only */
    void *arg;
    bool asked; /* not only waiting for a stream */
    enum dialback_verdict verdict;
    const char *error; /* static */
};

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void dialback_key_from(const char *hashed, const char *receiving, const char *originating, const char *id,
                       char out[DIALBACK_KEY_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char *text = mem_asprintf("%s %s %s", receiving, originating, id);
    CHECK(HMAC(EVP_sha256(), hashed, (int)strlen(hashed), (const uint8_t *)text, strlen(text), digest, &len));
    to_hex(digest, len, out);
    free(text);
}

void dialback_key(const struct backend *backend, const char *receiving, const char *originating, const char *id,
                  char out[DIALBACK_KEY_BYTES])
{
    static const char purpose[] = "dialback ";
    uint8_t secret[sizeof(purpose) - 1 + BACKEND_SECRET_BYTES], digest[EVP_MAX_MD_SIZE];
    char hashed[DIALBACK_KEY_BYTES];
    unsigned len = 0;
    /* the secret serves for other things, too */
    memcpy(secret, purpose, sizeof(purpose) - 1);
    memcpy(secret + sizeof(purpose) - 1, backend->secret, BACKEND_SECRET_BYTES);
    CHECK(EVP_Digest(secret, sizeof(secret), digest, &len, EVP_sha256(), NULL) == 1);
    to_hex(digest, len, hashed);
    dialback_key_from(hashed, receiving, originating, id, out);
    mem_wipe(secret, sizeof(secret));
    mem_wipe(hashed, sizeof(hashed));
}

bool dialback_key_is_ours(const struct backend *backend, const char *receiving, const char *originating, const char *id,
                          const char *key)
{
    char ours[DIALBACK_KEY_BYTES];
    dialback_key(backend, receiving, originating, id, ours);
    return strlen(key) == sizeof(ours) - 1 && CRYPTO_memcmp(key, ours, sizeof(ours) - 1) == 0;
}

static void print_attribute(const char *name, const char *value, struct buf *out)
{
    if (!value) return;
    buf_printf(out, " %s='", name);
    elem_escape(value, strlen(value), out);
    buf_append_str(out, "'");
}

static void print_tag(struct buf *out, const char *name, const char *from, const char *to, const char *id,
                      const char *type)
{
    buf_printf(out, "<db:%s", name);
    print_attribute("from", from, out);
    print_attribute("to", to, out);
    print_attribute("id", id, out);
    print_attribute("type", type, out);
}

void dialback_print(struct buf *out, const char *name, const char *from, const char *to, const char *id,
                    const char *type, const char *key)
{
    print_tag(out, name, from, to, id, type);
    if (key) {
        buf_append_str(out, ">");
        elem_escape(key, strlen(key), out);
        buf_printf(out, "</db:%s>", name);
    } else {
        buf_append_str(out, "/>");
    }
}

/* XEP-0220 section 2.4: the error's type is always cancel. */
void dialback_print_error(struct buf *out, const char *name, const char *from, const char *to, const char *id,
                          const char *condition)
{
    print_tag(out, name, from, to, id, "error");
    buf_printf(out, "><error type='cancel'><%s xmlns='" NS_STANZAS "'/></error></db:%s>", condition, name);
}

static void dialback_free(struct dialback *question)
{
    free(question->domain);
    free(question->local);
    free(question->id);
    free(question->key);
    free(question);
}

static void on_answer(void *arg)
{
    struct dialback *question = arg;
    if (question->fn) question->fn(question->verdict, question->error, question->arg);
    dialback_free(question);
}

/* On the domain's shard. */
static void settle(struct dialback *question, enum dialback_verdict verdict, const char *error)
{
    list_remove(&question->link);
    deadline_disarm(&question->deadline);
    question->stream = NULL;
    question->verdict = verdict;
    question->error = error;
    mailbox_post(question->here->mailbox, on_answer, question);
}

/* Whether questions may be sent on it: not before TLS is where it has to be, XEP-0220 section 2.1.2. */
static bool may_ask(const struct s2s_stream *stream)
{
    return stream->outgoing &&
           (stream->state == S2S_ANSWER || stream->state == S2S_RESUMING || s2s_stream_is_open(stream));
}

static bool may_ask_later(const struct s2s_stream *stream)
{
    return stream->outgoing && stream->state < S2S_ANSWER;
}

void dialback_send(struct s2s_stream *stream)
{
    struct buf out = {0};
    if (!may_ask(stream)) return;
    while (!list_empty(&stream->waiting)) {
        struct dialback *question = LIST_ENTRY(list_first(&stream->waiting), struct dialback, link);
        list_remove(&question->link);
        list_append(&stream->asked, &question->link);
        question->asked = true;
        dialback_print(&out, "verify", question->local, question->domain, question->id, NULL, question->key);
    }
    s2s_stream_write(stream, &out);
}

static struct dialback *first(const struct list *questions)
{
    return LIST_ENTRY(list_first(questions), struct dialback, link);
}

/* XEP-0220 section 2.5: no connection, or one that has not brought an answer. */
static const char *error_without_answer(const struct dialback *question)
{
    return question->asked ? "remote-server-timeout" : "remote-connection-failed";
}

void dialback_drop_asked(struct s2s_stream *stream)
{
    while (!list_empty(&stream->asked))
        settle(first(&stream->asked), DIALBACK_ERROR, error_without_answer(first(&stream->asked)));
}

/* Whether there is nobody who could be asked: DNS does not know the domain, or the server that it leads to. */
static bool is_nobody(const struct s2s_stream *stream)
{
    static const enum s2s_failure NOBODY[] = {S2S_NOT_FOUND, S2S_NO_SERVICE, S2S_HOST_UNKNOWN, S2S_OURSELVES};
    for (size_t i = 0; stream->failed && i < ARRAY_LEN(NOBODY); i++)
        if (NOBODY[i] == stream->failure) return true;
    return false;
}

void dialback_drop(struct s2s_stream *stream)
{
    const char *error = is_nobody(stream) ? "remote-server-not-found" : NULL;
    dialback_drop_asked(stream);
    while (!list_empty(&stream->waiting)) {
        struct dialback *question = first(&stream->waiting);
        settle(question, DIALBACK_ERROR, error ? error : error_without_answer(question));
    }
}

static void attach(struct dialback *question, struct s2s_stream *stream)
{
    question->stream = stream;
    list_append(&stream->waiting, &question->link);
    deadline_arm(stream->shard->s2s->asked, &question->deadline);
    dialback_send(stream);
}

/* stream_for - any stream to the authoritative server that goes local's way will do; it need not take our stanzas.
 * NULL: there can be none. */
static struct s2s_stream *stream_for(struct remote *remote, const char *local)
{
    struct s2s_stream *stream = NULL;
    LIST_EACH (link, &remote->streams) {
        struct s2s_stream *other = LIST_ENTRY(link, struct s2s_stream, link);
        if (!s2s_out_suits(other, local)) continue;
        if (may_ask(other) || (!stream && may_ask_later(other))) stream = other;
    }
    if (!stream) stream = remote_connect(remote, local);
    if (!stream || may_ask(stream) || may_ask_later(stream)) return stream;
    /* stanzas go by one that the other server has opened, of which it may know nothing any more */
    return remote->shard->stopping ? NULL : s2s_out_begin(remote, local, NULL);
}

static void on_question(void *arg)
{
    struct dialback *question = arg;
    struct remote *remote = remote_get(question->there, question->domain);
    struct s2s_stream *stream = stream_for(remote, question->local);
    if (stream) {
        attach(question, stream);
    } else {
        settle(question, DIALBACK_ERROR, "remote-server-not-found");
        remote_release(remote);
    }
}

void dialback_on_silence(struct deadline *deadline, void *desk)
{
    (void)desk;
    struct dialback *question = CONTAINER_OF(deadline, struct dialback, deadline);
    settle(question, DIALBACK_ERROR, error_without_answer(question));
}

struct dialback *dialback_ask(struct shard *here, const char *domain, const char *local, const char *id,
                              const char *key, dialback_fn *fn, void *arg)
{
    struct dialback *question = MEM_NEW(struct dialback);
    question->here = here;
    question->there = shard_of(here->backend, domain);
    question->domain = mem_strdup(domain);
    question->local = mem_strdup(local);
    question->id = mem_strdup(id);
    question->key = mem_strdup(key);
    question->fn = fn;
    question->arg = arg;
    mailbox_post(question->there->mailbox, on_question, question);
    return question;
}

void dialback_cancel(struct dialback **question)
{
    if (*question) (*question)->fn = NULL;
    *question = NULL;
}

/* What an answer means that is not about the key: the condition inside is for logs of others, not for ours. */
static enum dialback_verdict verdict_of(const struct elem *elem)
{
    const char *type = elem_get(elem, "type");
    if (strcmp(type, "valid") == 0) return DIALBACK_VALID;
    return strcmp(type, "invalid") == 0 ? DIALBACK_INVALID : DIALBACK_ERROR;
}

static bool is_domain(const char *text, const char *domain)
{
    char prepared[JID_PART_MAX_BYTES + 1];
    return text && jid_prepare_domain(text, prepared, NULL) == 0 && strcmp(prepared, domain) == 0;
}

/* XEP-0220 section 3: only what was asked for on this very stream counts; section 2.5: an error says that there is
 * nobody. */
void dialback_answer(struct s2s_stream *stream, const struct elem *elem)
{
    const char *id = elem_get(elem, "id"), *from = elem_get(elem, "from"), *to = elem_get(elem, "to");
    LIST_EACH (link, &stream->asked) {
        struct dialback *question = LIST_ENTRY(link, struct dialback, link);
        if (!id || strcmp(question->id, id) != 0 || !is_domain(from, question->domain) ||
            !is_domain(to, question->local))
            continue;
        settle(question, verdict_of(elem), "remote-server-not-found");
        return;
    }
}

void dialback_verify(struct s2s_stream *stream, const struct elem *elem)
{
    const char *from = elem_get(elem, "from"), *to = elem_get(elem, "to"), *id = elem_get(elem, "id");
    char receiving[JID_PART_MAX_BYTES + 1], originating[JID_PART_MAX_BYTES + 1];
    struct buf out = {0};
    if (!from || !to || !id || jid_prepare_domain(from, receiving, NULL) != 0 ||
        jid_prepare_domain(to, originating, NULL) != 0) {
        s2s_stream_fail(stream, END_BAD_STANZA, "improper-addressing", NULL);
        return;
    }
    if (!s2s_policy_serves(shard_hosts(stream->shard), originating) || !s2s_stream_sees(stream, originating)) {
        dialback_print_error(&out, "verify", originating, receiving, id, "item-not-found");
    } else {
        const bool ours =
            dialback_key_is_ours(stream->shard->backend, receiving, originating, id, elem_text(elem, NULL));
        dialback_print(&out, "verify", originating, receiving, id, ours ? "valid" : "invalid", NULL);
    }
    s2s_stream_write(stream, &out);
}
