/* host - the virtual hosts: their domains, their certificates, and which one a TLS client means.
 *
 * All hosts together are one snapshot, made from one reading of the configuration.  A reload makes a new one and swaps
 * it on each shard by its mailbox; what points into the old one keeps it alive. */
#ifndef POSTERN_BACKEND_HOST_H
#define POSTERN_BACKEND_HOST_H

#include "backend/archive_prefs.h"
#include "backend/client_limits.h"
#include "backend/registration_policy.h"
#include "backend/s2s_rules.h"
#include "backend/sasl_policy.h"
#include "lib/check.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct backend_config;
struct component_def;
struct hosts;
struct option_section;
struct server_trust;
struct remote_defs;

/* The order of the option's choices.  Source: RFC 6120 section 7.7.2.2. */
enum host_conflict { HOST_CONFLICT_REPLACE, HOST_CONFLICT_REFUSE, HOST_CONFLICT_RENAME };

/* Read only, as long as the snapshot lives. */
struct host {
    struct hosts *hosts; /* the snapshot it is of */
    const char *domain;  /* prepared */
    const struct option_section *section;
    char **admins; /* bare JIDs, sorted */
    size_t admin_count;
    struct sasl_policy sasl;
    struct registration_policy registration;
    struct s2s_rules s2s;
    SSL_CTX *tls;                                /* NULL before hosts_load_certificates, and if it has no certificate */
    SSL_CTX *tls_servers;                        /* NULL before it; with other servers, on either side */
    bool asks_certificate, requires_certificate; /* of clients */
    enum host_conflict conflict;                 /* when two clients of a user want one resource */
    const char *see_other_host;                  /* where its clients are sent; NULL: they are served here */
    struct client_limits limits;
    bool messages_to_all;      /* to a bare address: to all resources that are not negative */
    size_t offline_messages;   /* of one user; 0: none is kept */
    size_t offline_bytes;      /* of their texts; 0: no limit */
    int64_t offline_expire_ms; /* 0: never */
    bool archive;
    enum archive_default archive_default;     /* of users who have said nothing */
    int64_t archive_expire_ms;                /* 0: never */
    uint64_t archive_messages, archive_bytes; /* of one user; 0: no limit */
};

/* hosts_new - the host sections of the configuration, to which the snapshot keeps a reference.  NULL and a message with
 * file and line for a title that is no domain, for a name that two of them claim, and for an admin that is no address.
 */
MUSTCHECK struct hosts *hosts_new(struct backend_config *config, char *error, size_t cap);

/* hosts_ref - one more reference; returns hosts.  hosts_unref - give one back and clear the pointer; the last one frees
 * the snapshot.  Any thread. */
struct hosts *hosts_ref(struct hosts *hosts);
void hosts_unref(struct hosts **hosts);

/* host_point - have *slot point to host (NULL: nowhere) with a reference to its snapshot, and give back the reference
 * for what it pointed to. */
void host_point(const struct host **slot, const struct host *host);

/* hosts_load_certificates - read every certificate and key, and what s2s-ca and s2s-crl name; -1 and a message with
 * file and line. */
MUSTCHECK int hosts_load_certificates(struct hosts *hosts, char *error, size_t cap);

/* hosts_warn_of_certificates - log what is wrong with those that have been read: most clients would refuse them, but
 * not those of whoever tries the server out. */
void hosts_warn_of_certificates(const struct hosts *hosts);

/* What follows only reads: any thread. */

/* hosts_config - the configuration that the snapshot was made from. */
struct backend_config *hosts_config(const struct hosts *hosts);

/* hosts_each - every host, in the order of the file. */
void hosts_each(const struct hosts *hosts, void (*fn)(const struct host *host, void *arg), void *arg);

/* host_is_admin - whether the bare JID (prepared) is among the host's admins. */
bool host_is_admin(const struct host *host, const char *bare);

/* hosts_find - by prepared domain; NULL when it is none of ours. */
const struct host *hosts_find(const struct hosts *hosts, const char *domain);

/* hosts_component - the external component whose (prepared) domain that is, or NULL; hosts_each_component - all. */
const struct component_def *hosts_component(const struct hosts *hosts, const char *domain);
void hosts_each_component(const struct hosts *hosts, void (*fn)(const struct component_def *def, void *arg), void *arg);

/* hosts_s2s_rules - of a host, or a component: those of the host that it is below, or of the top level.  NULL: the
 * (prepared) domain is none of ours.  hosts_remote_defs - what is configured for other servers' domains. */
const struct s2s_rules *hosts_s2s_rules(const struct hosts *hosts, const char *domain);
const struct remote_defs *hosts_remote_defs(const struct hosts *hosts);

/* hosts_hides - whether the domain, of a host of ours or a component, is that of an onion service without a
 * certificate: nobody may find out otherwise than by Tor that it is here. */
bool hosts_hides(const struct hosts *hosts, const char *domain);

/* hosts_first - the first host that hides, or that does not; the very first one if there is none. */
const struct host *hosts_first(const struct hosts *hosts, bool hides);

/* hosts_by_server_name - the host whose domain or server-names have the TLS server name; for an unknown one or none
 * (NULL) the first host, since old clients send no name.  None that hides. */
const struct host *hosts_by_server_name(const struct hosts *hosts, const char *name);

/* hosts_tls - the context to begin a handshake with; it picks the host's own.  NULL: no host has a certificate. */
SSL_CTX *hosts_tls(const struct hosts *hosts);

/* hosts_tls_server - likewise with another server that has connected to us, for local: a host's domain or a component's
 * (prepared; NULL: it has not said for whom).  The server is asked for a certificate, and any is taken.  NULL: local
 * has no certificate.  hosts_tls_client - for tls_client_ssl, when local connects to another server; never NULL, but
 * without a certificate of its own nothing is shown. */
SSL_CTX *hosts_tls_server(const struct hosts *hosts, const char *local);
SSL_CTX *hosts_tls_client(const struct hosts *hosts, const char *local);

/* hosts_trust - who may vouch for other servers. */
struct server_trust *hosts_trust(const struct hosts *hosts);

#endif
