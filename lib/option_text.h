/* option_text - the text of a configuration file, made ready for libconfuse.
 *
 * libconfuse 3.3 miscounts lines at comments, knows comments only between options, drops characters that it does not
 * expect, and takes the end of the file for any number of closing braces.  So comments are blanked and such mistakes
 * are found here, before it sees the text. */
#ifndef POSTERN_LIB_OPTION_TEXT_H
#define POSTERN_LIB_OPTION_TEXT_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

enum { OPTION_TEXT_MAX_BYTES = 4 << 20 };

/* option_text_read - the checked text of a file, ending in a newline and a NUL; free() it.  NULL and a full message
 * in error when it cannot be read (*readable is false: the message has no line) or is not well-formed. */
MUSTCHECK char *option_text_read(const char *path, bool *readable, char *error, size_t cap);

#endif
