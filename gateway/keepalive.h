/* keepalive - how long a TCP connection may be without a sign of life from its other side. */
#ifndef POSTERN_GATEWAY_KEEPALIVE_H
#define POSTERN_GATEWAY_KEEPALIVE_H

#include "lib/option.h"

#include <stdint.h>

struct keepalive {
    int64_t idle_ms;         /* silence after which the kernel asks; 0: it never does */
    int64_t user_timeout_ms; /* for how long sent bytes may stay without an acknowledgment; 0: as the kernel does */
};

/* keepalive_read - the options "keepalive" and "user-timeout" of a section. */
struct keepalive keepalive_read(const struct option_section *section);

/* keepalive_set - apply it to a TCP socket; what a listening socket accepts inherits it.  The kernel asks four times, a
 * quarter of idle_ms apart: a connection whose other side is gone ends after twice that time. */
void keepalive_set(int fd, const struct keepalive *keepalive);

#endif
