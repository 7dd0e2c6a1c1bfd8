#include "backend/component_stream.h"

#include "backend/admission.h"
#include "backend/backend_config.h"
#include "backend/component_def.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "lib/log.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPONENT_MAGIC = 0x636f6d70,
    OUTPUT_MAX_BYTES = 16 * 1024 * 1024, /* a component speaks for many */
    SHA1_BYTES = 20,
    SHA1_TEXT_BYTES = 2 * SHA1_BYTES + 1,
};

static struct component *component_of(void *arg)
{
    struct component *component = arg;
    CHECK_MAGIC(component, COMPONENT_MAGIC);
    return component;
}

static void log_component(const struct component *component, const char *event, const char *reason)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, event);
    log_str(&line, "reason", reason);
    log_str(&line, "conn", component->conn);
    log_addr(&line, "peer", &component->peer);
    log_str(&line, "component", component->domain);
    log_end(&line);
}

/* The domain is free again, and nothing more is delivered. */
static void leave(struct component *component)
{
    struct map *by_domain = component->desk->by_domain;
    if (component->domain && map_get_str(by_domain, component->domain) == component)
        map_del_str(by_domain, component->domain);
}

static void end(struct component *component)
{
    struct shard *shard = component->desk->shard;
    if (component->phase == COMPONENT_ENDED) return;
    log_component(component, "component_end", end_reason_name(component->end));
    leave(component);
    component->phase = COMPONENT_ENDED;
    loop_defer_cancel(&component->deferred);
    deadline_disarm(&component->deadline);
    list_remove(&component->link);
    io_free(&component->io);
    xml_free(&component->xml);
    buf_free(&component->held);
    free(component->domain);
    hosts_unref(&component->hosts);
    component->magic = 0;
    loop_defer_free(shard->loop, component);
    shard_stream_gone(shard);
}

static void defer(struct component *component, void (*fn)(void *arg))
{
    loop_defer_cancel(&component->deferred);
    component->deferred.fn = fn;
    component->deferred.arg = component;
    loop_defer(component->desk->shard->loop, &component->deferred);
}

static void on_abort(void *arg)
{
    end(component_of(arg));
}

static void begin_to_close(struct component *component, enum end_reason reason)
{
    if (component->phase == COMPONENT_CLOSING || component->phase == COMPONENT_ENDED) return;
    leave(component);
    component->end = reason;
    component->phase = COMPONENT_CLOSING;
    loop_defer_cancel(&component->deferred);
    deadline_disarm(&component->deadline);
    io_resume(component->io);
    io_shutdown(component->io, STREAM_LINGER_MS);
}

void component_abort(struct component *component, enum end_reason reason)
{
    if (component->phase == COMPONENT_ENDED) return;
    if (component->phase != COMPONENT_CLOSING) component->end = reason;
    leave(component);
    component->phase = COMPONENT_CLOSING;
    defer(component, on_abort);
}

void component_write(struct component *component, struct buf *buf)
{
    const bool open = component->phase != COMPONENT_CLOSING && component->phase != COMPONENT_ENDED;
    if (open) io_write(component->io, buf_data(buf), buf_len(buf));
    buf_free(buf);
    if (open && io_blocked(component->io) && io_pending(component->io) > OUTPUT_MAX_BYTES)
        component_abort(component, END_SLOW_READER);
}

static void print_header(struct component *component, struct buf *out)
{
    stream_random_id(component->id);
    buf_printf(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT "' xmlns:stream='" NS_STREAM "' id='%s'",
               component->id);
    if (component->domain) {
        buf_append_str(out, " from='");
        elem_escape(component->domain, strlen(component->domain), out);
        buf_append_str(out, "'");
    }
    buf_append_str(out, ">");
    component->header_sent = true;
}

void component_fail(struct component *component, enum end_reason reason, const char *condition, const char *text)
{
    if (component->phase == COMPONENT_CLOSING || component->phase == COMPONENT_ENDED) return;
    if (component->phase == COMPONENT_SECURING) {
        component_abort(component, reason);
        return;
    }
    struct buf buf = {0};
    if (!component->header_sent) print_header(component, &buf);
    buf_printf(&buf, "<stream:error><%s xmlns='" NS_STREAMS "'/>", condition);
    if (text) buf_printf(&buf, "<text xmlns='" NS_STREAMS "' xml:lang='en'>%s</text>", text);
    buf_append_str(&buf, "</stream:error></stream:stream>");
    io_write(component->io, buf_data(&buf), buf_len(&buf));
    buf_free(&buf);
    begin_to_close(component, reason);
}

static void open_stream(struct component *component, const struct elem *header)
{
    const char *content = xml_content_ns(component->xml), *to = elem_get(header, "to");
    char domain[JID_PART_MAX_BYTES + 1];
    if (!elem_is(header, NS_STREAM, "stream") || !content || strcmp(content, NS_COMPONENT) != 0) {
        component_fail(component, END_BAD_HEADER, "invalid-namespace", "this port is for components");
        return;
    }
    if (!to || jid_prepare_domain(to, domain, NULL) != 0 ||
        !hosts_component(shard_hosts(component->desk->shard), domain)) {
        component_fail(component, END_BAD_HEADER, "host-unknown", "no component is configured by that name");
        return;
    }
    struct buf buf = {0};
    component->domain = mem_strdup(domain);
    print_header(component, &buf);
    component->phase = COMPONENT_HANDSHAKE;
    component_write(component, &buf);
}

static void digest(const char *id, const char *secret, char out[SHA1_TEXT_BYTES])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char *text = mem_asprintf("%s%s", id, secret);
    CHECK(EVP_Digest(text, strlen(text), hash, &len, EVP_sha1(), NULL) == 1 && len == SHA1_BYTES);
    for (size_t i = 0; i < SHA1_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    mem_wipe(text, strlen(text));
    free(text);
}

/* XEP-0114 section 3 has the secret escaped as in XML; most programs do not. */
static bool proof_is_right(const struct component *component, const char *secret, const char *proof)
{
    char plain[SHA1_TEXT_BYTES], escaped[SHA1_TEXT_BYTES];
    struct buf text = {0};
    elem_escape(secret, strlen(secret), &text);
    buf_append(&text, "", 1);
    digest(component->id, secret, plain);
    digest(component->id, (const char *)buf_data(&text), escaped);
    buf_free(&text);
    if (strlen(proof) != sizeof(plain) - 1) return false;
    const int as_it_is = CRYPTO_memcmp(proof, plain, sizeof(plain) - 1);
    return (as_it_is & CRYPTO_memcmp(proof, escaped, sizeof(escaped) - 1)) == 0;
}

static void run(struct component *component, const uint8_t *data, size_t len);

static void run_held(struct component *component)
{
    struct buf held = component->held;
    component->held = (struct buf){0};
    run(component, buf_data(&held), buf_len(&held));
    buf_free(&held);
}

/* One of two connections for a domain has to go. */
static bool has_place(struct component *component)
{
    struct shard *shard = component->desk->shard;
    const struct component_def *def = hosts_component(shard_hosts(shard), component->domain);
    struct component *old = map_get_str(component->desk->by_domain, component->domain);
    if (!def) {
        component_fail(component, END_HOST_GONE, "host-gone", NULL);
    } else if (shard->stopping) {
        component_fail(component, END_SHUTDOWN, "system-shutdown", NULL);
    } else if (old && !def->replaces) {
        component_fail(component, END_CONFLICT, "conflict", "this component is connected already");
    } else if (old) {
        component_fail(old, END_CONFLICT, "conflict", "a newer connection took this place");
        return true;
    } else {
        return true;
    }
    return false;
}

static void settle(struct component *component)
{
    if (!has_place(component)) return;
    struct xml_limits limits = XML_LIMITS_AUTHENTICATED;
    limits.stanza_bytes = (size_t)option_int(option_top(shard_config(component->desk->shard)->file), "stanza-size");
    xml_set_limits(component->xml, &limits);
    map_set_str(component->desk->by_domain, component->domain, component);
    component->phase = COMPONENT_BOUND;
    struct buf buf = {0};
    buf_append_str(&buf, "<handshake/>");
    component_write(component, &buf);
    log_component(component, "component_bound", NULL);
    io_resume(component->io);
    run_held(component);
}

static void on_arrival(void *arg)
{
    struct component *component = component_of(arg);
    list_append(&component->desk->all, &component->link);
    io_attach(component->io, component->desk->shard->loop);
    settle(component);
}

static void on_departure(void *arg)
{
    struct component *component = component_of(arg);
    struct shard *here = component->desk->shard;
    struct shard *owner = shard_of(here->backend, component->domain);
    if (owner == here) {
        settle(component);
        return;
    }
    list_remove(&component->link);
    io_detach(component->io);
    component->desk = owner->components;
    xml_park(component->xml); /* the parser stays with this thread */
    xml_move(component->xml, owner->parsers);
    mailbox_post(owner->mailbox, on_arrival, component);
}

static void check_proof(struct component *component, const struct elem *elem)
{
    struct shard *shard = component->desk->shard;
    const struct component_def *def = hosts_component(shard_hosts(shard), component->domain);
    if (!elem_is(elem, NS_COMPONENT, "handshake")) {
        component_fail(component, END_NOT_AUTHORIZED, "not-authorized", NULL);
    } else if (!def || !proof_is_right(component, def->secret, elem_text(elem, NULL))) {
        shard_count(shard, COUNTER_AUTH_FAILURES);
        component_fail(component, END_AUTH_FAILED, "not-authorized", NULL);
    } else {
        component->phase = COMPONENT_MOVING;
        deadline_disarm(&component->deadline);
        io_pause(component->io);
        defer(component, on_departure); /* not now: we are inside one of io's calls */
    }
}

/* The stanzas' namespace inside is jabber:client; elements of others are left alone. */
static void rename_to_client(struct elem *elem)
{
    for (struct elem *e = elem; e;) {
        if (e->ns && strcmp(e->ns, NS_COMPONENT) == 0) e->ns = NS_CLIENT;
        if (e->first) {
            e = e->first;
            continue;
        }
        while (e != elem && !e->next)
            e = e->parent;
        if (e == elem) return;
        e = e->next;
    }
}

/* XEP-0114 section 3: any address of its domain.  NULL: it is none. */
static struct jid *sender_of(const struct component *component, const struct stanza *stanza)
{
    const char *text = elem_get(stanza->elem, "from");
    struct jid *from = text ? jid_parse(text, strlen(text), NULL) : NULL;
    if (from && strcmp(from->domain, component->domain) != 0) jid_free(&from);
    return from;
}

static void take_stanza(struct component *component, struct elem *elem)
{
    struct shard *shard = component->desk->shard;
    rename_to_client(elem);
    struct stanza *stanza = stanza_new(elem);
    if (!stanza) {
        elem_free(&elem);
        component_fail(component, END_BAD_STANZA, "unsupported-stanza-type", NULL);
        return;
    }
    struct jid *from = sender_of(component, stanza);
    if (!from) {
        stanza_free(&stanza);
        component_fail(component, END_BAD_STANZA, "invalid-from", NULL);
        return;
    }
    shard_count(shard, COUNTER_COMPONENT_IN);
    const char *text = elem_get(stanza->elem, "to");
    struct jid *to = text ? jid_parse(text, strlen(text), NULL) : NULL;
    if (!to) {
        stanza->from = from;
        stanza_error_bounce(shard, stanza, STANZA_ERROR_JID_MALFORMED);
        return;
    }
    stanza_address(stanza, from, to);
    if (!stanza_is_right(stanza)) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_BAD_REQUEST);
    } else if (!router_deliver(shard, stanza) && component->phase == COMPONENT_BOUND) {
        component->phase = COMPONENT_PAUSED;
        io_pause(component->io);
        deadline_arm(component->desk->pause, &component->deadline);
    }
}

static void take(struct component *component, enum xml_unit unit, struct elem *elem)
{
    const char *text = NULL;
    switch (unit) {
    case XML_STREAM_START:
        open_stream(component, elem);
        elem_free(&elem);
        break;
    case XML_STANZA:
        if (component->phase == COMPONENT_BOUND) {
            take_stanza(component, elem);
            break;
        }
        check_proof(component, elem);
        elem_free(&elem);
        break;
    case XML_STREAM_END: {
        struct buf buf = {0};
        buf_append_str(&buf, "</stream:stream>");
        component_write(component, &buf);
        begin_to_close(component, END_DONE);
        break;
    }
    case XML_FAULT: {
        const char *condition = xml_fault(component->xml, &text);
        component_fail(component, END_BAD_XML, condition, text);
        break;
    }
    case XML_MORE:
        break;
    }
}

static bool takes(const struct component *component)
{
    return component->phase == COMPONENT_OPENING || component->phase == COMPONENT_HANDSHAKE ||
           component->phase == COMPONENT_BOUND;
}

static void run(struct component *component, const uint8_t *data, size_t len)
{
    while (takes(component)) {
        struct elem *elem = NULL;
        const enum xml_unit unit = xml_next(component->xml, &data, &len, &elem);
        if (unit == XML_MORE) return;
        take(component, unit, elem);
    }
    const bool holds = component->phase == COMPONENT_MOVING || component->phase == COMPONENT_PAUSED;
    if (holds && len > 0) buf_append(&component->held, data, len);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    run(component_of(arg), data, len);
}

static void on_secure(void *arg)
{
    component_of(arg)->phase = COMPONENT_OPENING;
}

static void on_end(void *arg, bool clean, const char *why)
{
    struct component *component = component_of(arg);
    if (component->phase != COMPONENT_CLOSING)
        component->end = clean || strstr(why, "eof") ? END_CLIENT_EOF : END_CLIENT_RESET;
    end(component);
}

static const struct io_events EVENTS = {.on_data = on_data, .on_secure = on_secure, .on_end = on_end};

void component_on_hurry(struct deadline *deadline, void *desk)
{
    (void)desk;
    component_fail(component_of(CONTAINER_OF(deadline, struct component, deadline)), END_AUTH_TIMEOUT,
                   "connection-timeout", "no handshake in time");
}

void component_on_pause_over(struct deadline *deadline, void *desk)
{
    (void)desk;
    struct component *component = component_of(CONTAINER_OF(deadline, struct component, deadline));
    component->phase = COMPONENT_BOUND;
    io_resume(component->io);
    run_held(component);
}

void component_stream_begin(struct component_desk *desk, int fd, bool direct_tls, const struct addr *peer)
{
    struct component *component = MEM_NEW(struct component);
    struct stream_origin origin = {.fd = fd};
    admission_name(&origin);
    component->magic = COMPONENT_MAGIC;
    component->desk = desk;
    component->phase = direct_tls ? COMPONENT_SECURING : COMPONENT_OPENING;
    component->peer = *peer;
    memcpy(component->conn, origin.id, sizeof(component->conn));
    component->hosts = hosts_ref(desk->shard->hosts);
    component->xml = xml_new(&XML_LIMITS_UNAUTHENTICATED, desk->shard->parsers);
    component->io = io_new(desk->shard->loop, fd, &EVENTS, component);
    list_append(&desk->all, &component->link);
    deadline_arm(desk->hurry, &component->deadline);
    shard_count(desk->shard, COUNTER_COMPONENTS);
    if (direct_tls) io_start_tls(component->io, hosts_tls(component->hosts));
}
