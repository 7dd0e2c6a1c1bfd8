/* s2s_policy - how one of our domains talks to another server's: what is required, what is configured for it.
 *
 * Options of the host, of the top level, and of the section remote "DOMAIN" (also "*.example.net"; the closest one
 * counts). */
#ifndef POSTERN_BACKEND_S2S_POLICY_H
#define POSTERN_BACKEND_S2S_POLICY_H

#include "backend/s2s_failure.h"
#include "lib/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hosts;

enum s2s_tls { S2S_TLS_ANY, S2S_TLS_STARTTLS, S2S_TLS_DIRECT }; /* how to begin, where DNS does not say */

/* Where to connect instead of asking DNS. */
struct s2s_place {
    char *name; /* of a host, for DNS or the proxy; or an address as text */
    uint16_t port;
    enum s2s_tls tls;
};

enum { S2S_PIN_BYTES = 32 }; /* SHA-256 of the SubjectPublicKeyInfo */

/* A value: what it points to lives as long as the hosts that it was made from. */
struct s2s_policy {
    bool onion;    /* the remote domain ends in .onion, or it is mapped to one: never TLS, the proxy alone */
    bool encrypt;  /* TLS is required */
    bool secure;   /* a certificate that proves the domain is required; else dialback will do */
    bool dialback; /* may prove the domain where no certificate does */
    bool dane;     /* believe signed TLSA records */
    const struct s2s_place *places; /* in this order; NULL: ask DNS */
    size_t place_count;
    const uint8_t (*pins)[S2S_PIN_BYTES]; /* NULL: none; else the key must be one of them, and need not be more */
    size_t pin_count;
    const struct endpoint *proxy;   /* SOCKS5; NULL: connect directly */
    size_t stanza_bytes;            /* of what comes from it */
    int64_t stanza_rate, byte_rate; /* likewise, a second; 0: any */
    unsigned streams;               /* from it at once */
    int64_t idle_ms;                /* without a stanza; then the stream is closed; 0: never */
    int64_t resume_ms;              /* that a broken stream waits to be resumed; 0: it ends at once */
    size_t queue_messages;          /* that wait for it, of all our domains together */
    size_t queue_bytes;
    int64_t queue_age_ms;
};

/* s2s_policy_of - of the pair local (a host of ours or a component, prepared) and remote (prepared).  Returns true, or
 * false and *failure (DISABLED, DENIED, NO_PROXY) when they may not talk to each other.  A component is under the
 * policy of the host that it is below, or that of the top level.  Some lookups of hashes: cheap. */
bool s2s_policy_of(const struct hosts *hosts, const char *local, const char *remote, struct s2s_policy *policy,
                   enum s2s_failure *failure);

/* s2s_policy_serves - whether the domain is one of ours that talks to other servers: a host or a component. */
bool s2s_policy_serves(const struct hosts *hosts, const char *domain);

#endif
