/* sandbox_calls - the system call part of the sandbox: a seccomp allow-list. */
#ifndef POSTERN_LIB_SANDBOX_CALLS_H
#define POSTERN_LIB_SANDBOX_CALLS_H

#include "lib/check.h"
#include "lib/sandbox.h"

#include <stddef.h>

/* sandbox_calls - kill the process at any system call that the rules have no use for.  Returns 0, or -1 and a message
 * in why. */
MUSTCHECK int sandbox_calls(const struct sandbox_rules *rules, char *why, size_t cap);

#endif
