/* server_name - host names as they stand in a ClientHello, in routes and in wildcards.
 *
 * The cleaned form is lower case without a trailing dot.  Source: RFC 6066 section 3. */
#ifndef POSTERN_GATEWAY_SERVER_NAME_H
#define POSTERN_GATEWAY_SERVER_NAME_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVER_NAME_BYTES = 256 }; /* the longest cleaned name with its NUL */

enum server_name_kind {
    SERVER_NAME_HOST,
    SERVER_NAME_ADDRESS, /* an IPv4 or IPv6 address, which RFC 6066 forbids */
    SERVER_NAME_BAD,     /* empty, too long, or other bytes than letters, digits, "-", "_" and "." */
};

/* server_name_clean - write the cleaned name to out (SERVER_NAME_BYTES bytes); out counts on SERVER_NAME_HOST only. */
MUSTCHECK enum server_name_kind server_name_clean(const uint8_t *name, size_t len, char *out);

/* server_name_pattern - the same for a name in a configuration file, which may begin with "*." and must have proper
 * labels.  Returns 0, or -1 and *why (static text) says what was expected. */
MUSTCHECK int server_name_pattern(const char *text, char *out, const char **why);

/* server_name_matches - whether a cleaned name fits a cleaned pattern; "*." stands for one or more labels.  name may
 * itself be a pattern: then the answer is whether every name that fits it fits the first pattern, too. */
bool server_name_matches(const char *pattern, const char *name);

#endif
