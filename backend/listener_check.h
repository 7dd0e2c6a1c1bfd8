/* listener_check - whether what a section "listener" says can be done, and is safe. */
#ifndef POSTERN_BACKEND_LISTENER_CHECK_H
#define POSTERN_BACKEND_LISTENER_CHECK_H

#include "lib/check.h"

#include <stddef.h>

struct option_file;
struct option_section;

/* Who connects there, and how encryption begins: in the order of the options' choices. */
enum listener_serve { LISTENER_CLIENTS, LISTENER_COMPONENTS, LISTENER_ADMIN, LISTENER_SERVERS };
enum listener_tls { LISTENER_STARTTLS, LISTENER_DIRECT, LISTENER_PLAIN };

/* listener_check - a section of the file, which has an address.  0, or -1 and a message with file and line. */
MUSTCHECK int listener_check(const struct option_file *file, const struct option_section *s, char *error, size_t cap);

#endif
