/* pattern - protocols that the administrator describes himself, each by a regular expression (PCRE2).
 *
 * A pattern is anchored at the first byte and keeps the rule of all probes: the verdict for a prefix is "more" or the
 * verdict for the whole.  Hard partial matching gives that: the search stops with "more" as soon as it asks for a byte
 * behind the last, so up to there it has gone the same way as it would with more bytes.  Constructs for which that does
 * not hold are refused.  docs/recipes/patterns.md is what users read about it. */
#ifndef POSTERN_GATEWAY_PATTERN_H
#define POSTERN_GATEWAY_PATTERN_H

#include "gateway/probe.h"
#include "gateway/regex.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stddef.h>

struct pattern_set;

/* pattern_set_new - compile the "pattern" sections of a file, to machine code where the system allows that; none is
 * fine.  NULL and a message in error (file, line, offset in the expression).  Call before the sandbox. */
MUSTCHECK struct pattern_set *pattern_set_new(const struct option_file *file, char *error, size_t cap);
void pattern_set_free(struct pattern_set **set);

size_t pattern_count(const struct pattern_set *set);
const char *pattern_name(const struct pattern_set *set, size_t index);

/* pattern_find - the index of a pattern by name, or -1. */
int pattern_find(const struct pattern_set *set, const char *name);

/* pattern_regexes - the expressions of the set; more may be added, with regex_set_code after them. */
struct regex_set *pattern_regexes(const struct pattern_set *set);

/* pattern_look - as the look of a probe.  A search that comes to a limit is no match; it adds to
 * sight->pattern_limits, and the first one of a pattern is logged. */
enum probe_verdict pattern_look(struct pattern_set *set, size_t index, struct sight *sight);

#endif
