/* sandbox_files - the file system part of the sandbox: Landlock. */
#ifndef POSTERN_LIB_SANDBOX_FILES_H
#define POSTERN_LIB_SANDBOX_FILES_H

#include "lib/check.h"
#include "lib/sandbox.h"

#include <stdbool.h>
#include <stddef.h>

/* sandbox_files - let nothing be opened but what the rules name and, where the kernel can, no TCP port be bound unless
 * they allow it.  Needs no_new_privs.  Returns 0 (*active tells whether the kernel has Landlock; without it nothing is
 * restricted), or -1 and a message in why. */
MUSTCHECK int sandbox_files(const struct sandbox_rules *rules, bool *active, char *why, size_t cap);

#endif
