#include "backend/dispatch.h"

#include "backend/ns.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"

#include <stdatomic.h>
#include <string.h>

/* The words of dispatch.def. */
enum { HOST = DISPATCH_HOST, SELF = DISPATCH_SELF, OTHERS = DISPATCH_OTHERS };
enum {
    NORMAL = 1 << STANZA_NORMAL,
    CHAT = 1 << STANZA_CHAT,
    GET = 1 << STANZA_GET,
    SET = 1 << STANZA_SET,
};

struct dispatch_row {
    enum stanza_kind kind;
    unsigned types; /* bits 1 << enum stanza_type */
    const char *ns;
    dispatch_fn *fn;
    unsigned scopes;
    bool advertise;
};

static const struct dispatch_row ROWS[] = {
#define DISPATCH(kind, types, ns, handler, scopes, advertise) {STANZA_##kind, types, ns, handler, scopes, advertise},
#include "backend/dispatch.def"
#undef DISPATCH
};

static _Atomic uint64_t handled[ARRAY_LEN(ROWS)];

static const struct dispatch_row *find(const struct stanza *stanza)
{
    const struct elem *child = elem_child(stanza->elem, NULL, NULL);
    for (size_t i = 0; child && i < ARRAY_LEN(ROWS); i++)
        if (ROWS[i].kind == stanza->kind && strcmp(ROWS[i].ns, child->ns) == 0) return &ROWS[i];
    return NULL;
}

enum dispatch_scope dispatch_scope_of(const struct stanza *stanza)
{
    if (!stanza->to->local) return DISPATCH_HOST;
    return jid_bare_equal(stanza->from, stanza->to) ? DISPATCH_SELF : DISPATCH_OTHERS;
}

void dispatch_stanza(struct shard *shard, struct stanza *stanza, enum dispatch_scope scope)
{
    if (!stanza_error_allowed(stanza)) {
        /* the server asks nothing yet, so no answer is expected */
        shard_count(shard, COUNTER_STANZAS_DROPPED);
        stanza_free(&stanza);
        return;
    }
    const struct dispatch_row *row = find(stanza);
    if (!row || !(row->scopes & scope)) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
        return;
    }
    if (!(row->types & 1U << stanza->type)) {
        stanza_error_bounce(shard, stanza, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
        return;
    }
    atomic_fetch_add_explicit(&handled[row - ROWS], 1, memory_order_relaxed);
    row->fn(shard, stanza);
    stanza_free(&stanza);
}

void dispatch_each_feature(enum dispatch_scope scope, void (*fn)(const char *ns, void *arg), void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        if (ROWS[i].advertise && (ROWS[i].scopes & scope)) fn(ROWS[i].ns, arg);
}

void dispatch_each_count(void (*fn)(const char *ns, uint64_t count, void *arg), void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        uint64_t count = 0;
        size_t first = i;
        for (size_t j = 0; j < ARRAY_LEN(ROWS); j++) {
            if (strcmp(ROWS[i].ns, ROWS[j].ns) != 0) continue;
            if (j < first) first = j;
            count += atomic_load_explicit(&handled[j], memory_order_relaxed);
        }
        if (first == i) fn(ROWS[i].ns, count, arg);
    }
}
