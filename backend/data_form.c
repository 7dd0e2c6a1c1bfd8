#include "backend/data_form.h"

#include "backend/ns.h"

#include <string.h>

struct elem *data_form_add(struct elem *parent, const char *type, const char *form_type)
{
    struct elem *form = elem_add(parent, NS_DATA, "x");
    elem_set(form, "type", type);
    if (form_type) data_form_field(form, "FORM_TYPE", "hidden", NULL, form_type);
    return form;
}

struct elem *data_form_field(struct elem *form, const char *var, const char *type, const char *label, const char *value)
{
    struct elem *field = elem_add(form, NULL, "field");
    elem_set(field, "var", var);
    elem_set(field, "type", type);
    elem_set(field, "label", label);
    if (value) data_form_value(field, value);
    return field;
}

void data_form_value(struct elem *field, const char *value)
{
    elem_add_text(elem_add(field, NULL, "value"), value, strlen(value));
}

void data_form_option(struct elem *field, const char *label, const char *value)
{
    struct elem *option = elem_add(field, NULL, "option");
    elem_set(option, "label", label);
    data_form_value(option, value);
}

void data_form_require(struct elem *field)
{
    elem_add(field, NULL, "required");
}

const struct elem *data_form_find(const struct elem *form, const char *var)
{
    const struct elem *field = form ? elem_child(form, NS_DATA, "field") : NULL;
    for (; field; field = elem_next_element(field)) {
        const char *name = elem_get(field, "var");
        if (elem_is(field, NS_DATA, "field") && name && strcmp(name, var) == 0) return field;
    }
    return NULL;
}

const struct elem *data_form_next(const struct elem *field, const struct elem *before)
{
    const struct elem *value = before ? elem_next_element(before) : elem_child(field, NULL, NULL);
    while (value && !elem_is(value, NS_DATA, "value"))
        value = elem_next_element(value);
    return value;
}

const char *data_form_get(const struct elem *form, const char *var)
{
    const struct elem *field = data_form_find(form, var);
    const struct elem *value = field ? data_form_next(field, NULL) : NULL;
    return value ? elem_text(value, NULL) : NULL;
}

bool data_form_true(const struct elem *form, const char *var)
{
    const char *value = data_form_get(form, var);
    return value && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
}

const char *data_form_lines(const struct elem *form, const char *var)
{
    const struct elem *field = data_form_find(form, var);
    if (!field) return NULL;
    struct buf joined = {0};
    for (const struct elem *value = NULL; (value = data_form_next(field, value)) != NULL;) {
        if (buf_len(&joined) > 0) buf_append_str(&joined, "\n");
        buf_append_str(&joined, elem_text(value, NULL));
    }
    const size_t len = buf_len(&joined);
    const char *text = len > 0 ? arena_strndup(form->arena, (const char *)buf_data(&joined), len) : "";
    buf_free(&joined);
    return text;
}
