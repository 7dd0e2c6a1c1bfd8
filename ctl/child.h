/* child - running one of our servers for a question. */
#ifndef POSTERN_CTL_CHILD_H
#define POSTERN_CTL_CHILD_H

#include "lib/check.h"

#include <stddef.h>
#include <sys/types.h>

/* child_start - start a server's program ("postern-backend": the one beside our own, else the installed one) with its
 * arguments (NULL-terminated, without the program's name), standard input and output replaced (-1: kept).  Closes
 * neither.  Returns its pid, or -1 with a printed message. */
MUSTCHECK pid_t child_start(const char *program, const char *const *arguments, int in, int out);

/* child_wait - wait for its end; its exit status, or -1 when a signal ended it. */
int child_wait(pid_t pid);

/* child_ask - run it to its end, with standard input in (-1: kept), and put the line that it prints into out.  Returns
 * its exit status, -1 when there was none; it prints errors itself. */
MUSTCHECK int child_ask(const char *program, const char *const *arguments, int in, char *out, size_t cap);

/* child_ask_option - the value of a top-level option of a configuration file, as the server reads it, into out.
 * Returns the server's exit status (0: out is filled, "" when unset), -1 when there was none; the server prints errors.
 */
MUSTCHECK int child_ask_option(const char *program, const char *config, const char *option, char *out, size_t cap);

#endif
