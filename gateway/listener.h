/* listener - makes one listening socket. */
#ifndef POSTERN_GATEWAY_LISTENER_H
#define POSTERN_GATEWAY_LISTENER_H

#include "gateway/listener_config.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

/* listener_open - bind to an address, which other sockets of ours may share, and listen.  Returns the descriptor, with
 * its own address in bound, or -1 and errno. */
MUSTCHECK int listener_open(const struct listener_config *config, const struct endpoint *at, struct endpoint *bound);

/* listener_tune - apply what can change while a socket listens. */
void listener_tune(int fd, const struct listener_config *config);

/* listener_prepare_passed - make a socket of the service manager's like our own, as far as that can be done later. */
void listener_prepare_passed(int fd);

/* listener_check_free - whether nobody listens there.  patient: ask for two seconds, for the workers of a gateway that
 * was killed end within moments.  Returns 0, or -1 and errno. */
MUSTCHECK int listener_check_free(const struct listener_config *config, const struct endpoint *at, bool patient);

/* listener_explain - why (an errno) one cannot listen there, with who does, as a message in why. */
void listener_explain(const struct endpoint *at, int error, char *why, size_t cap);

#endif
