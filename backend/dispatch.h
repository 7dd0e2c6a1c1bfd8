/* dispatch - the namespace table: who answers a stanza that the server itself is asked.
 *
 * An extension is one file in backend/xep/ and its rows in backend/dispatch.def.  From the rows come the call of the
 * handler, the error for what nobody handles, the features of disco#info, and a counter for each row. */
#ifndef POSTERN_BACKEND_DISPATCH_H
#define POSTERN_BACKEND_DISPATCH_H

#include "backend/stanza.h"

#include <stdint.h>

struct shard;

enum dispatch_scope {
    DISPATCH_HOST = 1,   /* a host: its bare domain */
    DISPATCH_SELF = 2,   /* the sender's own account: its bare JID */
    DISPATCH_OTHERS = 4, /* another user's account */
};

/* A handler.  The request is an allowed type of its row, and borrowed for the call; an iq is answered once, now or
 * later, by router_deliver with stanza_reply(request, "result") or by stanza_error_answer. */
typedef void dispatch_fn(struct shard *shard, const struct stanza *request);

#define DISPATCH(kind, types, ns, handler, scopes, advertise) dispatch_fn handler;
#include "backend/dispatch.def"
#undef DISPATCH

/* dispatch_stanza - have the stanza (taken) handled, or answered by an error: service-unavailable for a namespace
 * without a row for that scope, feature-not-implemented for a type that the row has not. */
void dispatch_stanza(struct shard *shard, struct stanza *stanza, enum dispatch_scope scope);

/* dispatch_scope_of - what a stanza to a host or an account of ours is asking. */
enum dispatch_scope dispatch_scope_of(const struct stanza *stanza);

/* dispatch_each_feature - the namespaces to advertise for a scope, in the order of the table. */
void dispatch_each_feature(enum dispatch_scope scope, void (*fn)(const char *ns, void *arg), void *arg);

/* dispatch_each_count - how many stanzas were handled for each namespace, whatever the scope. */
void dispatch_each_count(void (*fn)(const char *ns, uint64_t count, void *arg), void *arg);

#endif
