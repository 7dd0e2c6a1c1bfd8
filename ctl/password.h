/* password - reading a new password from a person or a pipe, never from the command line. */
#ifndef POSTERN_CTL_PASSWORD_H
#define POSTERN_CTL_PASSWORD_H

#include "lib/check.h"

#include <stddef.h>

enum { PASSWORD_MAX_BYTES = 1023 };

/* password_read - on a terminal: asked for twice, without echo; else one line of standard input, without its line
 * end.  Returns 0, or -1 with a printed message (empty, too long, the two differ, end of input).  Wipe out after use.
 */
MUSTCHECK int password_read(const char *jid, char out[PASSWORD_MAX_BYTES + 1]);

#endif
