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
    log_str(&line, "conn", component->peer->conn);
    log_addr(&line, "peer", &component->peer->addr);
    log_str(&line, "component", component->domain);
    log_end(&line);
}

/* The domain is free again, and nothing more is delivered. */
static void on_closing(void *owner)
{
    struct component *component = component_of(owner);
    struct map *by_domain = component->desk->by_domain;
    component->phase = COMPONENT_CLOSING;
    deadline_disarm(&component->deadline);
    if (component->domain && map_get_str(by_domain, component->domain) == component)
        map_del_str(by_domain, component->domain);
}

static void on_end(void *owner)
{
    struct component *component = component_of(owner);
    log_component(component, "component_end", end_reason_name(component->peer->end));
    list_remove(&component->link);
    free(component->domain);
    hosts_unref(&component->hosts);
    component->magic = 0;
    loop_defer_free(component->desk->shard->loop, component);
}

static void print_header(void *owner, struct buf *out)
{
    struct component *component = component_of(owner);
    buf_printf(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_COMPONENT "' xmlns:stream='" NS_STREAM "' id='%s'",
               component->peer->id);
    if (component->domain) {
        buf_append_str(out, " from='");
        elem_escape(component->domain, strlen(component->domain), out);
        buf_append_str(out, "'");
    }
    buf_append_str(out, ">");
    component->peer->header_sent = true;
}

static void open_stream(struct component *component, const struct elem *header)
{
    const char *content = xml_content_ns(component->peer->xml), *to = elem_get(header, "to");
    char domain[JID_PART_MAX_BYTES + 1];
    if (!elem_is(header, NS_STREAM, "stream") || !content || strcmp(content, NS_COMPONENT) != 0) {
        peer_fail(component->peer, END_BAD_HEADER, "invalid-namespace", "this port is for components");
        return;
    }
    if (!to || jid_prepare_domain(to, domain, NULL) != 0 ||
        !hosts_component(shard_hosts(component->desk->shard), domain)) {
        peer_fail(component->peer, END_BAD_HEADER, "host-unknown", "no component is configured by that name");
        return;
    }
    struct buf buf = {0};
    component->domain = mem_strdup(domain);
    print_header(component, &buf);
    component->phase = COMPONENT_HANDSHAKE;
    peer_write(component->peer, &buf);
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
    digest(component->peer->id, secret, plain);
    digest(component->peer->id, (const char *)buf_data(&text), escaped);
    buf_free(&text);
    if (strlen(proof) != sizeof(plain) - 1) return false;
    const int as_it_is = CRYPTO_memcmp(proof, plain, sizeof(plain) - 1);
    return (as_it_is & CRYPTO_memcmp(proof, escaped, sizeof(escaped) - 1)) == 0;
}

/* One of two connections for a domain has to go. */
static bool has_place(struct component *component)
{
    struct shard *shard = component->desk->shard;
    const struct component_def *def = hosts_component(shard_hosts(shard), component->domain);
    struct component *old = map_get_str(component->desk->by_domain, component->domain);
    if (!def) {
        peer_fail(component->peer, END_HOST_GONE, "host-gone", NULL);
    } else if (shard->stopping) {
        peer_fail(component->peer, END_SHUTDOWN, "system-shutdown", NULL);
    } else if (old && !def->replaces) {
        peer_fail(component->peer, END_CONFLICT, "conflict", "this component is connected already");
    } else if (old) {
        peer_fail(old->peer, END_CONFLICT, "conflict", "a newer connection took this place");
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
    peer_set_limits(component->peer, &limits);
    map_set_str(component->desk->by_domain, component->domain, component);
    component->phase = COMPONENT_BOUND;
    struct buf buf = {0};
    buf_append_str(&buf, "<handshake/>");
    peer_write(component->peer, &buf);
    log_component(component, "component_bound", NULL);
    peer_go_on(component->peer);
}

static void on_moved(void *owner)
{
    struct component *component = component_of(owner);
    component->desk = component->peer->shard->components;
    list_append(&component->desk->all, &component->link);
    settle(component);
}

static void check_proof(struct component *component, const struct elem *elem)
{
    struct shard *shard = component->desk->shard;
    const struct component_def *def = hosts_component(shard_hosts(shard), component->domain);
    if (!elem_is(elem, NS_COMPONENT, "handshake")) {
        peer_fail(component->peer, END_NOT_AUTHORIZED, "not-authorized", NULL);
    } else if (!def || !proof_is_right(component, def->secret, elem_text(elem, NULL))) {
        shard_count(shard, COUNTER_AUTH_FAILURES);
        peer_fail(component->peer, END_AUTH_FAILED, "not-authorized", NULL);
    } else {
        component->phase = COMPONENT_MOVING;
        deadline_disarm(&component->deadline);
        list_remove(&component->link);
        peer_move(component->peer, shard_of(shard->backend, component->domain), on_moved);
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
    elem_change_ns(elem, NS_COMPONENT, NS_CLIENT);
    struct stanza *stanza = stanza_new(elem);
    if (!stanza) {
        elem_free(&elem);
        peer_fail(component->peer, END_BAD_STANZA, "unsupported-stanza-type", NULL);
        return;
    }
    struct jid *from = sender_of(component, stanza);
    if (!from) {
        stanza_free(&stanza);
        peer_fail(component->peer, END_BAD_STANZA, "invalid-from", NULL);
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
        peer_hold(component->peer);
        deadline_arm(component->desk->pause, &component->deadline);
    }
}

static void on_header(void *owner, struct elem *header)
{
    open_stream(component_of(owner), header);
    elem_free(&header);
}

static void on_elem(void *owner, struct elem *elem)
{
    struct component *component = component_of(owner);
    if (component->phase == COMPONENT_BOUND) {
        take_stanza(component, elem);
        return;
    }
    check_proof(component, elem);
    elem_free(&elem);
}

/* Nothing to do before its header. */
static void on_secure(void *owner)
{
    (void)owner;
}

static const struct peer_events EVENTS = {
    .on_secure = on_secure,
    .on_header = on_header,
    .on_elem = on_elem,
    .print_header = print_header,
    .on_closing = on_closing,
    .on_end = on_end,
};

void component_on_hurry(struct deadline *deadline, void *desk)
{
    (void)desk;
    peer_fail(component_of(CONTAINER_OF(deadline, struct component, deadline))->peer, END_AUTH_TIMEOUT,
              "connection-timeout", "no handshake in time");
}

void component_on_pause_over(struct deadline *deadline, void *desk)
{
    (void)desk;
    struct component *component = component_of(CONTAINER_OF(deadline, struct component, deadline));
    component->phase = COMPONENT_BOUND;
    peer_go_on(component->peer);
}

void component_stream_begin(struct component_desk *desk, int fd, bool direct_tls, const struct addr *peer)
{
    struct component *component = MEM_NEW(struct component);
    struct stream_origin name = {.fd = fd};
    admission_name(&name);
    const struct peer_origin origin = {.fd = fd, .addr = *peer, .conn = name.id};
    component->magic = COMPONENT_MAGIC;
    component->desk = desk;
    component->hosts = hosts_ref(desk->shard->hosts);
    component->peer = peer_stream_new(desk->shard, &origin, &EVENTS, component);
    component->peer->output_max = OUTPUT_MAX_BYTES;
    stream_random_id(component->peer->id);
    list_append(&desk->all, &component->link);
    deadline_arm(desk->hurry, &component->deadline);
    shard_count(desk->shard, COUNTER_COMPONENTS);
    if (direct_tls) peer_secure(component->peer, hosts_tls(component->hosts));
}
