/* tls_sources - the certificate files of a "tls" section: what was read from them, and whether they have changed.
 *
 * Files are told by what stat(2) says of them, through links, so that a renewal by writing, renaming or turning a link
 * is seen.  Only what has changed is read again.  A file that cannot be used any more leaves what was read from it in
 * use; a file that is gone from a folder takes its certificate along. */
#ifndef POSTERN_GATEWAY_TLS_SOURCES_H
#define POSTERN_GATEWAY_TLS_SOURCES_H

#include "lib/check.h"
#include "lib/option.h"

#include <stddef.h>

struct tls_certs;
struct tls_sources;

/* tls_sources_open - read all files that the section (borrowed) names.  NULL and a message in error: one of those in
 * "certificate" cannot be used, the folder cannot be read, there is no certificate at all, none has the default name.
 * What of a folder cannot be used is logged and left out.  A certificate that is not valid now is logged, too. */
MUSTCHECK struct tls_sources *tls_sources_open(const struct option_section *section, char *error, size_t cap);
void tls_sources_free(struct tls_sources **sources);

enum tls_sources_state {
    TLS_SOURCES_SAME,
    TLS_SOURCES_MOVING,  /* they differ from what was read, and from what the last look saw: look again soon */
    TLS_SOURCES_CHANGED, /* they differ from what was read, and nobody is writing any more: read them */
};

/* tls_sources_look - whether the files have changed since they were read. */
enum tls_sources_state tls_sources_look(struct tls_sources *sources);

/* tls_sources_read - read what has changed. */
void tls_sources_read(struct tls_sources *sources);

/* tls_sources_certs - what there is now; the caller's reference.  Where several serve a name by the same kind of key,
 * the first one in "certificate" does, then the one of the folder that expires last.  The default is that of
 * default-name, else the first in "certificate", else the first of the folder by its path. */
struct tls_certs *tls_sources_certs(const struct tls_sources *sources);

#endif
