/* data_form - forms that a person or a program fills in.
 *
 * Source: XEP-0004, and XEP-0068 for FORM_TYPE. */
#ifndef POSTERN_BACKEND_DATA_FORM_H
#define POSTERN_BACKEND_DATA_FORM_H

#include "backend/elem.h"
#include "lib/check.h"

/* data_form_add - a new form in parent.  type: "form", "result", "submit"; form_type (of XEP-0068) may be NULL. */
struct elem *data_form_add(struct elem *parent, const char *type, const char *form_type);

/* data_form_field - a new field; type ("text-single" …), label and value may be NULL. */
struct elem *data_form_field(struct elem *form, const char *var, const char *type, const char *label,
                             const char *value);
/* data_form_value - one more value of a field. */
void data_form_value(struct elem *field, const char *value);
/* data_form_option - a choice of a list field. */
void data_form_option(struct elem *field, const char *label, const char *value);
/* data_form_require - the field must be filled in. */
void data_form_require(struct elem *field);

/* data_form_find - the field named var of a form (NULL: no form, none); NULL: there is none. */
const struct elem *data_form_find(const struct elem *form, const char *var);

/* data_form_get - the first value of that field; NULL: none. */
const char *data_form_get(const struct elem *form, const char *var);

/* data_form_next - the values of a field in order, NULL first; NULL at the end. */
const struct elem *data_form_next(const struct elem *field, const struct elem *before);

/* data_form_true - whether the field is a true boolean: 1 or true. */
bool data_form_true(const struct elem *form, const char *var);

/* data_form_lines - all values of the field, joined by line ends: what text-multi means.  In the form's arena; NULL:
 * there is no such field. */
const char *data_form_lines(const struct elem *form, const char *var);

#endif
