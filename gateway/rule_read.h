/* rule_read - reads and checks a "route" section. */
#ifndef POSTERN_GATEWAY_RULE_READ_H
#define POSTERN_GATEWAY_RULE_READ_H

#include "gateway/rule.h"

/* rule_read - fill rule from a section.  Returns 0, or -1 with a message in error; rule_clear frees it either way.
 * Regular expressions of names go to the patterns' set. */
MUSTCHECK int rule_read(struct rule *rule, const struct option_file *file, const struct option_section *section,
                        const struct pattern_set *patterns, char *error, size_t cap);

#endif
