#include "backend/directed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void each_address_once(void **state)
{
    struct directed *list = NULL;
    (void)state;
    assert_null(directed_next(list, NULL));
    assert_false(directed_has_bare(list, "a@b"));
    directed_remove(&list, "a@b");
    assert_true(directed_add(&list, "room@c/nick"));
    assert_true(directed_add(&list, "a@b"));
    assert_true(directed_add(&list, "room@c/nick"));
    assert_true(directed_add(&list, "domain"));
    assert_true(directed_has_bare(list, "room@c"));
    assert_true(directed_has_bare(list, "a@b"));
    assert_false(directed_has_bare(list, "room"));
    assert_false(directed_has_bare(list, "a@bc"));
    directed_remove(&list, "room@c");
    const char *at = directed_next(list, NULL);
    assert_string_equal(at, "room@c/nick");
    at = directed_next(list, at);
    assert_string_equal(at, "a@b");
    at = directed_next(list, at);
    assert_string_equal(at, "domain");
    assert_null(directed_next(list, at));
    directed_remove(&list, "a@b");
    assert_string_equal(directed_next(list, directed_next(list, NULL)), "domain");
    directed_remove(&list, "domain");
    directed_remove(&list, "room@c/nick");
    assert_null(list);
}

static void there_is_a_limit(void **state)
{
    struct directed *list = NULL;
    char text[64];
    size_t bytes = 0;
    unsigned count = 0;
    (void)state;
    for (;; count++) {
        bytes += (size_t)snprintf(text, sizeof(text), "room%u@conference.example.test/nick", count) + 1;
        if (!directed_add(&list, text)) break;
    }
    assert_in_range(bytes, DIRECTED_MAX_BYTES + 1, DIRECTED_MAX_BYTES + sizeof(text));
    assert_true(directed_add(&list, "room0@conference.example.test/nick")); /* known already */
    directed_remove(&list, "room5@conference.example.test/nick");
    assert_true(directed_add(&list, "room5@conference.example.test/nick"));
    directed_free(&list);
    assert_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_address_once), cmocka_unit_test(there_is_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
