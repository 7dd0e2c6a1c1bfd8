#include "backend/stanza.h"

#include "backend/ns.h"
#include "backend/stanza_id.h"

#include <string.h>

struct stanza_word {
    const char *text;
    enum stanza_kind kind;
    enum stanza_type type;
};

static const char *const KINDS[] = {[STANZA_MESSAGE] = "message", [STANZA_PRESENCE] = "presence", [STANZA_IQ] = "iq"};

static const struct stanza_word TYPES[] = {
    {"chat", STANZA_MESSAGE, STANZA_CHAT},
    {"groupchat", STANZA_MESSAGE, STANZA_GROUPCHAT},
    {"headline", STANZA_MESSAGE, STANZA_HEADLINE},
    {"error", STANZA_MESSAGE, STANZA_ERROR},
    {"unavailable", STANZA_PRESENCE, STANZA_UNAVAILABLE},
    {"subscribe", STANZA_PRESENCE, STANZA_SUBSCRIBE},
    {"subscribed", STANZA_PRESENCE, STANZA_SUBSCRIBED},
    {"unsubscribe", STANZA_PRESENCE, STANZA_UNSUBSCRIBE},
    {"unsubscribed", STANZA_PRESENCE, STANZA_UNSUBSCRIBED},
    {"probe", STANZA_PRESENCE, STANZA_PROBE},
    {"error", STANZA_PRESENCE, STANZA_ERROR},
    {"get", STANZA_IQ, STANZA_GET},
    {"set", STANZA_IQ, STANZA_SET},
    {"result", STANZA_IQ, STANZA_RESULT},
    {"error", STANZA_IQ, STANZA_ERROR},
};

static enum stanza_type type_of(enum stanza_kind kind, const char *text)
{
    for (size_t i = 0; text && i < ARRAY_LEN(TYPES); i++)
        if (TYPES[i].kind == kind && strcmp(TYPES[i].text, text) == 0) return TYPES[i].type;
    if (kind == STANZA_MESSAGE) return STANZA_NORMAL;
    return kind == STANZA_PRESENCE && !text ? STANZA_AVAILABLE : STANZA_WRONG;
}

struct stanza *stanza_new(struct elem *elem)
{
    for (size_t kind = 0; kind < ARRAY_LEN(KINDS); kind++) {
        if (!elem_is(elem, NS_CLIENT, KINDS[kind])) continue;
        struct stanza *stanza = arena_alloc(elem->arena, sizeof(*stanza));
        stanza->elem = elem;
        stanza->kind = (enum stanza_kind)kind;
        stanza->type = type_of(stanza->kind, elem_get(elem, "type"));
        return stanza;
    }
    return NULL;
}

void stanza_free(struct stanza **stanza)
{
    if (!*stanza) return;
    struct elem *elem = (*stanza)->elem;
    receipt_settle(&(*stanza)->receipt);
    jid_free(&(*stanza)->from);
    jid_free(&(*stanza)->to);
    *stanza = NULL;
    elem_free(&elem);
}

static struct jid *address_in(const struct elem *elem, const char *attribute)
{
    const char *text = elem_get(elem, attribute);
    return text ? jid_parse(text, strlen(text), NULL) : NULL;
}

struct stanza *stanza_read(struct elem *elem)
{
    struct stanza *stanza = stanza_new(elem);
    if (!stanza) {
        elem_free(&elem);
        return NULL;
    }
    stanza->from = address_in(elem, "from");
    stanza->to = address_in(elem, "to");
    if (!stanza->from || !stanza->to) stanza_free(&stanza);
    return stanza;
}

struct stanza *stanza_copy(const struct stanza *stanza)
{
    struct stanza *copy = stanza_new(elem_copy(stanza->elem));
    CHECK(copy);
    copy->from = stanza->from ? jid_dup(stanza->from) : NULL;
    copy->to = stanza->to ? jid_dup(stanza->to) : NULL;
    copy->undirected = stanza->undirected;
    copy->quiet = stanza->quiet;
    return copy;
}

void stanza_address(struct stanza *stanza, struct jid *from, struct jid *to)
{
    jid_free(&stanza->from);
    jid_free(&stanza->to);
    stanza->from = from;
    stanza->to = to;
    elem_set(stanza->elem, "from", from->full);
    elem_set(stanza->elem, "to", to->full);
}

void stanza_text(struct stanza *stanza)
{
    if (stanza->text) return;
    struct buf out = {0};
    elem_print(stanza->elem, NS_CLIENT, &out);
    char *text = arena_alloc(stanza->elem->arena, buf_len(&out));
    memcpy(text, buf_data(&out), buf_len(&out));
    stanza->text = text;
    stanza->text_len = buf_len(&out);
    buf_free(&out);
}

void stanza_print(const struct stanza *stanza, struct buf *out)
{
    if (stanza->text) {
        buf_append(out, stanza->text, stanza->text_len);
    } else {
        elem_print(stanza->elem, NS_CLIENT, out);
    }
    if (stanza->archive_id != 0) stanza_id_append(out, stanza->to->bare, stanza->archive_id);
}

bool stanza_is_right(const struct stanza *stanza)
{
    if (stanza->type == STANZA_WRONG) return false;
    if (stanza->kind != STANZA_IQ) return true;
    const struct elem *child = elem_child(stanza->elem, NULL, NULL);
    const bool single = child && !elem_next_element(child);
    if (!elem_get(stanza->elem, "id")) return false;
    if (stanza->type == STANZA_GET || stanza->type == STANZA_SET) return single;
    return stanza->type != STANZA_RESULT || !child || single;
}

struct stanza *stanza_reply(const struct stanza *request, const char *type)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, KINDS[request->kind]);
    elem_set(elem, "id", elem_get(request->elem, "id"));
    elem_set(elem, "type", type);
    struct stanza *reply = stanza_new(elem);
    CHECK(reply && request->from);
    reply->to = jid_dup(request->from);
    elem_set(elem, "to", reply->to->full);
    if (request->to) {
        reply->from = jid_dup(request->to);
        elem_set(elem, "from", reply->from->full);
    } else {
        /* an address that could not be prepared: the client shall recognise it; the router needs some sender */
        reply->from = jid_dup(request->from);
        elem_set(elem, "from", elem_get(request->elem, "to"));
    }
    return reply;
}
