/* s2s_place - where another server is, as an administrator writes it. */
#ifndef POSTERN_BACKEND_S2S_PLACE_H
#define POSTERN_BACKEND_S2S_PLACE_H

#include "backend/s2s_policy.h"
#include "lib/check.h"

#include <stdbool.h>

enum { S2S_PORT = 5269, S2S_DIRECT_PORT = 5270 };

/* s2s_place_parse - a name (letters of ASCII, A-labels) or an address, one of IPv6 in brackets, with a port or with
 * that of its kind.  place->name is to be freed; it has no brackets.  false: it is none, and nothing is to be freed. */
MUSTCHECK bool s2s_place_parse(const char *text, enum s2s_tls tls, struct s2s_place *place);

#endif
