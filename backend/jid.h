/* jid - XMPP addresses: parsing, preparation, comparison.
 *
 * Source: RFC 7622 for the form and RFC 6122 for comparison (nodeprep, nameprep with IDNA, resourceprep by ICU; an
 * all-ASCII address takes a fast path that gives the same result). */
#ifndef POSTERN_BACKEND_JID_H
#define POSTERN_BACKEND_JID_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

enum { JID_PART_MAX_BYTES = 1023, JID_MAX_BYTES = 3 * 1023 + 2 };

/* A prepared address.  One allocation: the texts lie behind the struct.  Immutable, so it may be read by any thread. */
struct jid {
    const char *full;     /* local@domain/resource, as prepared */
    const char *bare;     /* local@domain, or domain */
    const char *local;    /* NULL when there is none */
    const char *domain;   /* never NULL */
    const char *resource; /* NULL when there is none */
};

/* jid_parse - parse and prepare text of len bytes.  NULL when it is not an address; *why (static text, may be NULL)
 * says what is wrong.  Free with jid_free. */
MUSTCHECK struct jid *jid_parse(const char *text, size_t len, const char **why);

/* jid_new - from parts that need preparing; local and resource may be NULL.  NULL and *why as in jid_parse. */
MUSTCHECK struct jid *jid_new(const char *local, const char *domain, const char *resource, const char **why);

/* jid_with_resource - the bare address of jid with another resource (NULL: none), which is prepared. */
MUSTCHECK struct jid *jid_with_resource(const struct jid *jid, const char *resource, const char **why);

struct jid *jid_dup(const struct jid *jid);
void jid_free(struct jid **jid);

bool jid_equal(const struct jid *a, const struct jid *b);
bool jid_bare_equal(const struct jid *a, const struct jid *b);

/* jid_prepare_domain, jid_prepare_local - one part, prepared, into out (JID_PART_MAX_BYTES + 1 bytes).  0, or -1 and
 * *why. */
MUSTCHECK int jid_prepare_domain(const char *text, char *out, const char **why);
MUSTCHECK int jid_prepare_local(const char *text, char *out, const char **why);

enum { JID_ASCII_BYTES = 256 };

/* jid_domain_ascii - a prepared domain as DNS and TLS have it, in A-labels (RFC 5890), into out (JID_ASCII_BYTES
 * bytes). 0, or -1: it has none. */
MUSTCHECK int jid_domain_ascii(const char *domain, char *out);

/* jid_local_is_acceptable - whether a new account may have this (prepared) name: also valid as RFC 7622 section 3.3
 * (no code point that PRECIS forbids, no look-alike white space).  *why as above. */
bool jid_local_is_acceptable(const char *local, const char **why);

#endif
