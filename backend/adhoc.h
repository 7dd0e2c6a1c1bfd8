/* adhoc - commands that a client's user gives to a host: at most a form, then the deed.
 *
 * Each is a row of adhoc.def with two functions.  A command that is waited for by nobody any more is forgotten after
 * some minutes, and nobody can have many.  Source: XEP-0050. */
#ifndef POSTERN_BACKEND_ADHOC_H
#define POSTERN_BACKEND_ADHOC_H

#include "backend/elem.h"
#include "backend/stanza.h"
#include "backend/stanza_error.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct adhoc_sessions;
struct host;
struct shard;

enum {
    ADHOC_LIFE_MS = 600000, /* from one step of a command to the next */
    ADHOC_MAX_OF_USER = 10, /* the oldest is forgotten */
    ADHOC_MAX_OF_SHARD = 1000
};

/* A command that is being carried out.  It belongs to the function that has it, until it gives it to one of those that
 * end it, on whatever thread. */
struct adhoc {
    struct shard *shard;    /* of who gave it */
    struct stanza *request; /* a copy */
    struct stanza *reply;
    struct elem *command;    /* of the reply */
    const struct elem *form; /* what was filled in; NULL: nothing */
    bool restart;            /* of a server that is to stop: it is to start again */
};

/* Fill the empty form of a command's first step. */
typedef void adhoc_form_fn(struct elem *form);
/* Carry it out; call is taken. */
typedef void adhoc_run_fn(struct adhoc *call);

#define ADHOC(node, name, who, form, run)                                                                              \
    adhoc_form_fn form;                                                                                                \
    adhoc_run_fn run;
#define ADHOC_AT_ONCE(node, name, who, run) adhoc_run_fn run;
#include "backend/adhoc.def"
#undef ADHOC
#undef ADHOC_AT_ONCE

/* A field of a form; type as in XEP-0004. */
struct adhoc_field {
    const char *var, *type, *label;
    bool required;
};

/* adhoc_fill - title and fields of a form. */
void adhoc_fill(struct elem *form, const char *title, const struct adhoc_field *fields, size_t count);

/* adhoc_finish - it is done: send the reply (any thread). */
void adhoc_finish(struct adhoc *call);

/* adhoc_refuse - it could not be done, and may be tried again: send an error (any thread).  condition is of
 * NS_COMMANDS; it and text may be NULL. */
void adhoc_refuse(struct adhoc *call, enum stanza_error error, const char *condition, const char *text);

/* adhoc_note - a line for the person in the reply; type: info, warn, error (after which it counts as failed). */
void adhoc_note(struct adhoc *call, const char *type, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* adhoc_result - a form of type result in the reply, of XEP-0133. */
struct elem *adhoc_result(struct adhoc *call);

/* adhoc_account - the address of an account of the host that was given as the value text (NULL: none).  NULL and *why:
 * it is none. */
MUSTCHECK struct jid *adhoc_account(const struct adhoc *call, const char *text, const char **why);

/* adhoc_list - the commands which that (bare) JID may give, as items of disco#items. */
void adhoc_list(const struct host *host, const char *bare, struct elem *query);

/* adhoc_info - what disco#info says of the node; false: it is no command that the (bare) JID may give. */
MUSTCHECK bool adhoc_info(const struct host *host, const char *bare, const char *node, struct elem *query);

/* adhoc_forget - drop what a shard has of open commands; at its end. */
void adhoc_forget(struct shard *shard);

#endif
