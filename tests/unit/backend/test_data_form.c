/* Forms: what is put in is found again, and what is not there is not. */
#include "backend/data_form.h"

#include "backend/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void values_are_found_by_name(void **state)
{
    (void)state;
    struct elem *root = elem_new(arena_new(), NS_DISCO_INFO, "query");
    struct elem *form = data_form_add(root, "submit", "urn:test");
    struct elem *field = data_form_field(form, "lines", "text-multi", "Lines", "one");
    data_form_option(field, "not a value", "x");
    data_form_require(field);
    data_form_value(field, "two");
    data_form_field(form, "empty", NULL, NULL, NULL);
    data_form_field(form, "yes", "boolean", NULL, "true");
    data_form_field(form, "no", "boolean", NULL, "0");
    assert_string_equal(data_form_get(form, "FORM_TYPE"), "urn:test");
    assert_string_equal(data_form_get(form, "lines"), "one");
    assert_string_equal(data_form_lines(form, "lines"), "one\ntwo");
    assert_string_equal(data_form_lines(form, "empty"), "");
    assert_null(data_form_lines(form, "missing"));
    assert_null(data_form_get(form, "empty"));
    assert_null(data_form_get(form, "missing"));
    assert_null(data_form_get(NULL, "lines"));
    assert_true(data_form_true(form, "yes"));
    assert_false(data_form_true(form, "no"));
    assert_false(data_form_true(form, "missing"));
    elem_free(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_are_found_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
