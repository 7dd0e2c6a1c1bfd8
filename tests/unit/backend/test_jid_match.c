/* Which addresses a blocked one stands for. */
#include "backend/jid_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static bool matches(const char *pattern, const char *text)
{
    struct jid *jid = jid_parse(text, strlen(text), NULL);
    assert_non_null(jid);
    const bool result = jid_match(pattern, jid);
    jid_free(&jid);
    return result;
}

/* Conforms: XEP-0191, 6: four forms of addresses */
static void four_forms(void **state)
{
    (void)state;
    assert_true(matches("u@d/r", "u@d/r"));
    assert_false(matches("u@d/r", "u@d/s"));
    assert_false(matches("u@d/r", "u@d"));
    assert_true(matches("u@d", "u@d/r"));
    assert_true(matches("u@d", "u@d"));
    assert_false(matches("u@d", "v@d"));
    assert_false(matches("u@d", "d"));
    assert_true(matches("d/r", "d/r"));
    assert_false(matches("d/r", "u@d/r"));
    assert_false(matches("d/r", "d"));
    assert_false(matches("d/r", "d/s"));
    assert_true(matches("d", "d"));
    assert_true(matches("d", "d/r"));
    assert_true(matches("d", "u@d/r"));
    assert_false(matches("d", "e"));
    assert_false(matches("d", "sub.d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(four_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
