/* jid_prep - the preparation of each part of an address, so that equal addresses are equal bytes.
 *
 * Source: RFC 6122 sections 2.2 to 2.4, RFC 7622 section 3, UTS 46 (non-transitional, STD 3 rules) for domains, of
 * which IDNA2008 then allows less. Code points that Unicode 3.2 did not have are let through, or no emoji could be in a
 * resource. */
#ifndef POSTERN_BACKEND_JID_PREP_H
#define POSTERN_BACKEND_JID_PREP_H

#include "lib/check.h"

#include <stddef.h>

/* jid_prep_local, jid_prep_domain, jid_prep_resource - prepare len bytes into out (JID_PART_MAX_BYTES + 1 bytes).
 * Returns 0, or -1 and *why (static text).  What was prepared prepares to itself.  May be called by any thread. */
MUSTCHECK int jid_prep_local(const char *text, size_t len, char *out, const char **why);
MUSTCHECK int jid_prep_domain(const char *text, size_t len, char *out, const char **why);
MUSTCHECK int jid_prep_resource(const char *text, size_t len, char *out, const char **why);

/* jid_prep_ascii - a prepared domain as DNS has it: A-labels (cap: at least 254 bytes).  Returns 0, or -1: it is an
 * address in brackets, or no host name. */
MUSTCHECK int jid_prep_ascii(const char *domain, char *out, size_t cap);

#endif
