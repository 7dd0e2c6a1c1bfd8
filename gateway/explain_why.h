/* explain_why - says in words why a condition of a route holds or does not. */
#ifndef POSTERN_GATEWAY_EXPLAIN_WHY_H
#define POSTERN_GATEWAY_EXPLAIN_WHY_H

#include "gateway/rule.h"

#include <stdint.h>
#include <stdio.h>

/* explain_why_print - a line for a condition that was looked at, if the row has it or does not hold because of it; and
 * then one for those that were not looked at. */
void explain_why_print(FILE *out, const struct rule *rule, const struct look *look, enum route_condition condition,
                       enum probe_verdict verdict);

/* explain_why_name - the option of a condition. */
const char *explain_why_name(enum route_condition condition);

/* explain_why_versions - "1.2, 1.3" of a set of versions. */
void explain_why_versions(FILE *out, uint8_t versions);

#endif
