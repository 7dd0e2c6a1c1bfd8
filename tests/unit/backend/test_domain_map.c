/* Values by domain and by everything below a domain: the closest counts. */
#include "backend/domain_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char EXACT[] = "exact", BELOW[] = "below", FAR[] = "far";

static void the_closest_counts(void **state)
{
    (void)state;
    struct domain_map *map = domain_map_new();
    assert_null(domain_map_find(map, "example.net"));
    assert_null(domain_map_set(map, "*.net", FAR));
    assert_null(domain_map_set(map, "chat.example.net", EXACT));
    assert_null(domain_map_set(map, "*.example.net", BELOW));
    assert_ptr_equal(domain_map_find(map, "chat.example.net"), EXACT);
    assert_ptr_equal(domain_map_find(map, "a.chat.example.net"), BELOW);
    assert_ptr_equal(domain_map_find(map, "other.example.net"), BELOW);
    assert_ptr_equal(domain_map_find(map, "example.net"), FAR);
    assert_ptr_equal(domain_map_find(map, "notexample.net"), FAR);
    assert_null(domain_map_find(map, "net"));
    assert_null(domain_map_find(map, "example.org"));
    domain_map_free(&map);
    assert_null(map);
}

static void a_pattern_is_not_what_is_below(void **state)
{
    (void)state;
    struct domain_map *map = domain_map_new();
    assert_null(domain_map_set(map, "*.example.net", BELOW));
    assert_ptr_equal(domain_map_get(map, "*.example.net"), BELOW);
    assert_null(domain_map_get(map, "chat.example.net"));
    assert_null(domain_map_get(map, "example.net"));
    assert_ptr_equal(domain_map_set(map, "*.example.net", FAR), BELOW);
    domain_map_free(&map);
}

static void patterns_are_prepared(void **state)
{
    (void)state;
    static const struct {
        const char *text, *prepared; /* NULL: it is none */
    } ROWS[] = {
        {"Example.NET", "example.net"},
        {"*.Example.NET.", "*.example.net"},
        {"*.xn--bcher-kva.example", "*.bücher.example"},
        {"192.0.2.1", "192.0.2.1"},
        {"*", NULL},
        {"*.", NULL},
        {"*example.net", NULL},
        {"a.*.example.net", NULL},
        {"user@example.net", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        char out[DOMAIN_PATTERN_BYTES];
        const char *why = NULL;
        assert_int_equal(domain_pattern_prepare(ROWS[i].text, out, &why), ROWS[i].prepared ? 0 : -1);
        if (ROWS[i].prepared) assert_string_equal(out, ROWS[i].prepared);
        if (!ROWS[i].prepared) assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_closest_counts),
        cmocka_unit_test(a_pattern_is_not_what_is_below),
        cmocka_unit_test(patterns_are_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
