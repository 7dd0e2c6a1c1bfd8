/* onion - the names of Tor's onion services.
 *
 * Such a name is the service's key: no DNS knows it (RFC 7686), and who is reached by it needs no certificate. */
#ifndef POSTERN_BACKEND_ONION_H
#define POSTERN_BACKEND_ONION_H

#include <stdbool.h>

/* onion_is - whether a prepared domain (or a pattern such as "*.onion") lies in .onion. */
bool onion_is(const char *domain);

/* onion_fault - NULL: the domain is none in .onion, or may be one; else a text that says why it cannot be: it is
 * mistyped.  Source: Tor's rend-spec-v3, section 6. */
const char *onion_fault(const char *domain);

#endif
