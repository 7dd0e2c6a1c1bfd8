/* pattern_check - finds constructs of regular expressions whose verdict could depend on how bytes were cut. */
#ifndef POSTERN_GATEWAY_PATTERN_CHECK_H
#define POSTERN_GATEWAY_PATTERN_CHECK_H

#include "lib/check.h"

#include <stddef.h>

/* pattern_check - look through an expression that PCRE2 has taken.  Returns NULL, or what is wrong (static text) and
 * the offset of it. */
MUSTCHECK const char *pattern_check(const char *regex, size_t *offset);

#endif
