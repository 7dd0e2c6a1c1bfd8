/* stdin_text - a text that is given on standard input. */
#ifndef POSTERN_CTL_STDIN_TEXT_H
#define POSTERN_CTL_STDIN_TEXT_H

#include "lib/check.h"

/* stdin_text - all of standard input without the last line's end (free it); NULL with a printed message: nothing, or
 * too much. */
MUSTCHECK char *stdin_text(void);

#endif
