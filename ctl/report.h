/* report - a server's answer, written for a person or for a program. */
#ifndef POSTERN_CTL_REPORT_H
#define POSTERN_CTL_REPORT_H

#include <jansson.h>
#include <stdio.h>

/* report_json - the value as JSON with a newline; NULL is null. */
void report_json(json_t *value, FILE *out);

/* report_text - the value as lines: a list of texts is one a line, a list of objects is a table with a heading, an
 * object is "name: value" lines with the names of nested objects in front ("website.accepted: 12"). */
void report_text(json_t *value, FILE *out);

#endif
