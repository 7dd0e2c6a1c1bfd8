/* dialer - from another server's domain to a connection to it.
 *
 * SRV records of both services in one list (RFC 2782, XEP-0368), then addresses, tried side by side (RFC 8305); or the
 * places that the configuration names; or a SOCKS5 proxy (RFC 1928), which is given the name.  Belongs to one shard. */
#ifndef POSTERN_BACKEND_DIALER_H
#define POSTERN_BACKEND_DIALER_H

#include "backend/s2s_failure.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_trace.h"
#include "lib/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dialer;
struct shard;

enum { DIALER_NAME_BYTES = 256 };

struct dialer_tlsa { /* RFC 6698 section 2.1 */
    uint8_t usage, selector, matching;
    uint8_t *data;
    size_t len;
};

/* How a connection came about; the dialer's, until dialer_next or dialer_free. */
struct dialer_way {
    bool direct_tls;
    bool proxied;
    char target[DIALER_NAME_BYTES]; /* the host that was connected to, A-labels; of an SRV record, or the domain itself
                                     */
    uint16_t port;
    struct addr addr; /* unknown when proxied */
    bool secure;      /* all of DNS that led here was validated: target is as good a name as the domain (RFC 7673) */
    const struct dialer_tlsa *tlsa; /* validated records of that target and port */
    size_t tlsa_count;
};

/* Each of them is called from the loop; in it the owner may free the dialer. */
struct dialer_events {
    void (*on_connected)(void *arg, int fd, const struct dialer_way *way); /* fd: taken, non-blocking */
    /* nothing is left to be tried; why is for a person.  What counts is the failure of the most promising way. */
    void (*on_failed)(void *arg, enum s2s_failure failure, const char *why);
};

/* dialer_new - begin to look for domain (prepared, Unicode; never blocks).  events, and policy's contents, are borrowed
 * for the dialer's life (the caller keeps the hosts). */
struct dialer *dialer_new(struct shard *shard, const char *domain, const struct s2s_policy *policy,
                          const struct s2s_trace *trace, const struct dialer_events *events, void *arg);

/* dialer_next - the connection did not serve: try what is left.  failure says how it failed, for on_failed if it was
 * the last one. */
void dialer_next(struct dialer *dialer, enum s2s_failure failure, const char *why);
void dialer_free(struct dialer **dialer);

#endif
