/* pie_join - an XEP-0227 document that may be spread over several files, as one.
 *
 * Bytes are copied as they are; in the place of an inclusion stands the element that it names, and before each user an
 * instruction that tells where it was read: <?postern-at FILE:LINE?>.  Source: XEP-0227 section 5 (of XInclude: an href
 * that is relative and leads to a file beside or below). */
#ifndef POSTERN_CTL_PIE_JOIN_H
#define POSTERN_CTL_PIE_JOIN_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* pie_join_is_document - whether the file's outermost element is that of XEP-0227. */
bool pie_join_is_document(const char *path);

/* pie_join_write - all of it, when all of it is well formed.  Returns 0, or -1 and a message with file and line in why;
 * something may be written by then. */
MUSTCHECK int pie_join_write(const char *path, FILE *out, char *why, size_t cap);

/* pie_join_is_element - whether a text is one well-formed element. */
bool pie_join_is_element(const char *text, size_t len);

#endif
