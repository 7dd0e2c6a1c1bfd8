/* host - the virtual hosts: their domains, their certificates, and which one a TLS client means. */
#ifndef POSTERN_BACKEND_HOST_H
#define POSTERN_BACKEND_HOST_H

#include "lib/check.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct option_file;
struct option_section;

struct host {
    const char *domain; /* prepared */
    const struct option_section *section;
    SSL_CTX *tls;                                /* NULL before hosts_load_certificates */
    bool asks_certificate, requires_certificate; /* of clients */
};

struct hosts;

/* hosts_new - the host sections of the configuration (borrowed).  NULL and a message with file and line for a title
 * that is no domain, and for a name that two of them claim. */
MUSTCHECK struct hosts *hosts_new(const struct option_file *file, char *error, size_t cap);
void hosts_free(struct hosts **hosts);

/* hosts_load_certificates - read every certificate and key; -1 and a message with file and line. */
MUSTCHECK int hosts_load_certificates(struct hosts *hosts, char *error, size_t cap);

/* What follows only reads: any thread. */

/* hosts_find - by prepared domain; NULL when it is none of ours. */
const struct host *hosts_find(const struct hosts *hosts, const char *domain);

/* hosts_by_server_name - the host whose domain or server-names have the TLS server name; for an unknown one or none
 * (NULL) the first host, since old clients send no name. */
const struct host *hosts_by_server_name(const struct hosts *hosts, const char *name);

/* hosts_tls - the context to begin a handshake with; it picks the host's own. */
SSL_CTX *hosts_tls(const struct hosts *hosts);

#endif
