/* handover - what a master hands to the program that is run in its place, and keeps its process id.
 *
 * Everything that lives on is a descriptor; a sealed memfd says in JSON which is what.  Its number stands in the
 * environment.  Old workers stay children of the same process. */
#ifndef POSTERN_GATEWAY_HANDOVER_H
#define POSTERN_GATEWAY_HANDOVER_H

#include "lib/check.h"

#include <jansson.h>
#include <stddef.h>

struct master;

/* The form of what is handed over; a program that knows another one does not take over. */
#define HANDOVER_VERSION "1"

/* handover_write - describe master, and let the descriptors pass through exec.  Returns the memfd, with its number in
 * the environment, or -1 and errno. */
MUSTCHECK int handover_write(const struct master *master);

/* handover_undo - the other program could not be run: as it was before handover_write, whose result memory is. */
void handover_undo(const struct master *master, int memory);

/* handover_read - what was handed to this process, and take it out of the environment.  The caller's reference; NULL:
 * nothing was, or (with a message in why, else empty) what cannot be understood. */
MUSTCHECK json_t *handover_read(char *why, size_t cap);

/* handover_adopt - make the new master of it: lock, sockets, counters, workers.  Returns 0, or -1: something is
 * missing; then the descriptors are left as they are. */
MUSTCHECK int handover_adopt(struct master *master, const json_t *handover);

#endif
