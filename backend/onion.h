/* onion - the names of Tor's onion services.
 *
 * Such a name is the service's key: no DNS knows it (RFC 7686), and who is reached by it needs no certificate. */
#ifndef POSTERN_BACKEND_ONION_H
#define POSTERN_BACKEND_ONION_H

#include <stdbool.h>

/* onion_is - whether a prepared domain (or a pattern such as "*.onion") lies in .onion. */
bool onion_is(const char *domain);

#endif
