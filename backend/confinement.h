/* confinement - which folders the sandbox leaves to the server, and what of a new configuration lies outside of them.
 */
#ifndef POSTERN_BACKEND_CONFINEMENT_H
#define POSTERN_BACKEND_CONFINEMENT_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct backend_config;
struct confinement;

/* confinement_new - the folders that config names: of the state, the sockets, logs, certificates, and of itself.  For a
 * server that runs for one command only (once), the state alone. */
struct confinement *confinement_new(const struct backend_config *config, bool once);
void confinement_free(struct confinement **confinement);

/* confinement_enter - enter the sandbox, unless the configuration is without.  Returns 0, or -1 and a message. */
MUSTCHECK int confinement_enter(const struct confinement *confinement, char *why, size_t cap);

/* confinement_check - whether the files that another configuration names are within reach.  0, or -1 and a message with
 * file and line.  Any thread. */
MUSTCHECK int confinement_check(const struct confinement *confinement, const struct backend_config *config, char *error,
                                size_t cap);

#endif
