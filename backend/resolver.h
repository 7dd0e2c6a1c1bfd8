/* resolver - DNS lookups beside the shards, validated by DNSSEC.
 *
 * libunbound with a thread of its own, made at the first question; positive and negative answers are cached by their
 * TTL.  Names ending in .onion are never asked for (RFC 7686 section 2): they are not found.  Source: RFC 1035, RFC
 * 4033, RFC 2782. */
#ifndef POSTERN_BACKEND_RESOLVER_H
#define POSTERN_BACKEND_RESOLVER_H

#include "lib/check.h"
#include "lib/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_config;
struct resolver;
struct resolver_query;

enum resolver_status {
    RESOLVER_OK,        /* there are records */
    RESOLVER_NOT_FOUND, /* the name does not exist, or has none of that type */
    RESOLVER_FAILED,    /* no answer in time, or a server's failure */
    RESOLVER_BOGUS,     /* signed, and not valid */
};

enum resolver_type { RESOLVER_A = 1, RESOLVER_AAAA = 28, RESOLVER_SRV = 33, RESOLVER_TLSA = 52 };

struct resolver_record {
    const uint8_t *data; /* rdata */
    size_t len;
};

/* Lives during the call only. */
struct resolver_answer {
    enum resolver_status status;
    bool secure;           /* validated by DNSSEC, also that there is none */
    const char *canonical; /* the name after CNAMEs; without the last dot */
    const struct resolver_record *records;
    size_t count;
    const char *why; /* when not OK: a word for a person */
};

typedef void resolver_fn(const struct resolver_answer *answer, void *arg);

/* resolver_new - from the section "resolver"; opens nothing yet.  Never NULL. */
struct resolver *resolver_new(const struct backend_config *config);
void resolver_free(struct resolver **resolver);

/* resolver_follow - the configuration has changed: other servers, other anchors; what was cached is forgotten. */
void resolver_follow(struct resolver *resolver, const struct backend_config *config);

/* resolver_ask - name is in ASCII (A-labels).  fn is called once through the mailbox, unless the question is cancelled.
 * Any thread that reads the mailbox. */
struct resolver_query *resolver_ask(struct resolver *resolver, struct mailbox *reply_to, const char *name,
                                    enum resolver_type type, resolver_fn *fn, void *arg);
void resolver_cancel(struct resolver_query **query);

#endif
