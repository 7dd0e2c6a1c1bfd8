/* jid_match - whether an address is meant by another one that may stand for many.
 *
 * Source: XEP-0016 section 2.1, XEP-0191 section 4. */
#ifndef POSTERN_BACKEND_JID_MATCH_H
#define POSTERN_BACKEND_JID_MATCH_H

#include "backend/jid.h"

#include <stdbool.h>

/* jid_match - pattern (prepared) is user@domain/resource or domain/resource, which mean themselves; user@domain: with
 * any resource; or domain: all that is there. */
bool jid_match(const char *pattern, const struct jid *jid);

#endif
