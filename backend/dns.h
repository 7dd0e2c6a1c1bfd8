/* dns - DNS lookups beside the shards, validated by DNSSEC.
 *
 * libunbound with a thread of its own, made at the first question, and anew when resolv.conf, the hosts file or the
 * trust anchor have changed; positive and negative answers are cached by their TTL.  Names ending in .onion are never
 * asked for (RFC 7686 section 2): they are not found.  Source: RFC 1035, RFC 4033, RFC 2782. */
#ifndef POSTERN_BACKEND_DNS_H
#define POSTERN_BACKEND_DNS_H

#include "lib/check.h"
#include "lib/loop.h"
#include "lib/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend_config;
struct dns;
struct dns_query;

enum dns_status {
    DNS_OK,        /* there are records */
    DNS_NOT_FOUND, /* the name does not exist, or has none of that type */
    DNS_FAILED,    /* no answer in time, or a server's failure */
    DNS_BOGUS,     /* signed, and not valid */
};

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };

struct dns_record {
    const uint8_t *data; /* rdata, as it came: of any length and form */
    size_t len;
};

/* Lives during the call only. */
struct dns_answer {
    enum dns_status status;
    bool secure;           /* validated by DNSSEC, also that there is none */
    const char *canonical; /* the name after CNAMEs; without the last dot */
    const struct dns_record *records;
    size_t count;
    const char *why; /* when not OK: a word for a person */
};

typedef void dns_fn(const struct dns_answer *answer, void *arg);

/* dns_new - by the section "resolver" (config gets one more reference); opens nothing yet.  loop and mailbox are
 * those of the thread on which the answers of libunbound come in.  Never NULL. */
struct dns *dns_new(struct backend_config *config, struct loop *loop, struct mailbox *mailbox);

/* dns_stop - on that thread, or when it is over: answer all that is asked now and later as failed.  The mailboxes
 * are to be read to their end before dns_free. */
void dns_stop(struct dns *dns);
void dns_free(struct dns **dns);

/* dns_follow - the configuration has changed: other servers, other anchors; what was cached is forgotten. */
void dns_follow(struct dns *dns, struct backend_config *config);

/* dns_ask - name is in ASCII (A-labels).  fn is called once through the mailbox, unless the question is cancelled.
 * Any thread that reads the mailbox. */
struct dns_query *dns_ask(struct dns *dns, struct mailbox *reply_to, const char *name, enum dns_type type, dns_fn *fn,
                          void *arg);

/* dns_cancel - fn will not be called; on the thread that asked, and only before fn was called.  Clears *query,
 * which may be NULL. */
void dns_cancel(struct dns_query **query);

#endif
