/* client_limits - what a client may take of the server: sizes, rates, numbers.
 *
 * Each is an option at the top level, and of a host that wants another value. */
#ifndef POSTERN_BACKEND_CLIENT_LIMITS_H
#define POSTERN_BACKEND_CLIENT_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct option_section;

struct client_limits {
    size_t stanza_bytes; /* of a client that has logged in */
    size_t output_bytes; /* that may wait for a client which does not read */
    int64_t stanza_rate; /* a second; 0: any */
    int64_t byte_rate;   /* likewise */
    unsigned sessions;   /* of one user */
};

/* client_limits_read - those of a host: its own options, else those of the top level. */
void client_limits_read(struct client_limits *limits, const struct option_section *top,
                        const struct option_section *host);

#endif
