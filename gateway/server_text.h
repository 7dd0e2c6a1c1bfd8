/* server_text - the text of one server of an upstream: where it is, and its parameters.
 *
 *     10.0.0.1:8443 weight=3 max-connections=100
 *     backup.example.com:8443 backup */
#ifndef POSTERN_GATEWAY_SERVER_TEXT_H
#define POSTERN_GATEWAY_SERVER_TEXT_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVER_NAME_MAX_BYTES = 255 }; /* of name, without its NUL */

struct server_text {
    char *name;               /* the place as it was written: "10.0.0.1:8443", "unix:/path", "www.example.com:443" */
    char *host;               /* a name that has to be resolved, without the port; NULL: at is all there is to know */
    struct endpoint at;       /* unknown family for a name */
    uint16_t port;            /* of a name */
    uint32_t weight;          /* 1 to BALANCE_WEIGHT_MAX */
    uint32_t max_connections; /* 0: no limit */
    bool backup;
};

/* server_text_parse - read text.  Returns 0 (server_text_clear frees what is in out), or -1 and in why (cap bytes)
 * what was expected. */
MUSTCHECK int server_text_parse(const char *text, struct server_text *out, char *why, size_t cap);
void server_text_clear(struct server_text *server);

#endif
