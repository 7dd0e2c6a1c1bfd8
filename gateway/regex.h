/* regex - regular expressions (PCRE2) as machine code, with limits on what a search may cost. */
#ifndef POSTERN_GATEWAY_REGEX_H
#define POSTERN_GATEWAY_REGEX_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum regex_kind {
    REGEX_FIRST_BYTES, /* of a connection: anchored; PCRE2's constructs that a partial search gets wrong are refused */
    REGEX_NAME,        /* a whole host name: found anywhere in it, upper and lower case are the same */
};

enum regex_verdict {
    REGEX_NO,
    REGEX_MORE, /* a partial search asked for a byte behind the last */
    REGEX_MATCH,
    REGEX_LIMIT, /* too many steps; the first time is logged */
};

struct regex_set;

struct regex_set *regex_set_new(void);
void regex_set_free(struct regex_set **set);

/* regex_add - take an expression into the set; label says in the log whose it is.  Returns its index, or -1 and in why
 * what is wrong with it. */
MUSTCHECK int regex_add(struct regex_set *set, const char *text, enum regex_kind kind, const char *label, char *why,
                        size_t cap);

/* regex_set_code - make machine code of what is in the set and is not yet, where the system allows that; else PCRE2
 * interprets it.  Call before the sandbox. */
void regex_set_code(struct regex_set *set);

/* regex_text - the expression as it was given. */
const char *regex_text(const struct regex_set *set, size_t index);

/* regex_search - partial: REGEX_MORE is an answer, and the others stand whatever bytes may follow. */
MUSTCHECK enum regex_verdict regex_search(struct regex_set *set, size_t index, const uint8_t *data, size_t len,
                                          bool partial);

#endif
