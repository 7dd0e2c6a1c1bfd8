#include "ctl/lua_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static char why[256];

static const struct lua_value *read(const char *text)
{
    return lua_table_read(arena, text, strlen(text), why, sizeof why);
}

static void expect_wrong(const char *text, const char *message)
{
    if (read(text)) fail_msg("read: %s", text);
    if (!strstr(why, message)) fail_msg("%s: said %s, not %s", text, why, message);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static void test_strings(void **state)
{
    (void)state;
    const struct lua_value *value = read("return \"a\\nb\\065\\x42\\\"\\\\\\0c\\\n\";");
    assert_non_null(value);
    assert_int_equal(value->kind, LUA_STRING);
    assert_int_equal(value->len, 10);
    assert_memory_equal(value->text, "a\nbAB\"\\\0c\n", 10);
    expect_wrong("return \"a", "no end");
    expect_wrong("return \"a\n\"", "no end");
    expect_wrong("return \"a\\", "no end");
    expect_wrong("return '\\q'", "backslash");
    expect_wrong("return '\\256'", "backslash");
    expect_wrong("return '\\xg0'", "backslash");
}

static void test_tables(void **state)
{
    (void)state;
    const struct lua_value *value = read("-- kept by a server\nreturn { 'one'; [false] = {}, name = 'n'; ['b c'] = "
                                         "-2.5, true, nil, x = 'first', x = 'last', };");
    assert_non_null(value);
    assert_int_equal(value->items, 3);
    assert_string_equal(lua_table_string(value, "name"), "n");
    assert_string_equal(lua_table_string(value, "x"), "last");
    assert_true(lua_table_get(value, "b c")->number == -2.5);
    assert_null(lua_table_string(value, "b c"));
    assert_null(lua_table_get(value, "y"));
    assert_int_equal(value->fields->key->kind, LUA_NUMBER);
    assert_int_equal(value->fields->next->key->kind, LUA_BOOLEAN);
    assert_null(lua_table_string(read("return { a = 'x\\0y' }"), "a"));
}

static void test_items(void **state)
{
    (void)state;
    const struct lua_value *value = read("item({ a = '1' });\nitem({ a = '2' })\n");
    assert_non_null(value);
    assert_int_equal(value->items, 2);
    assert_string_equal(lua_table_string(value->fields->next->value, "a"), "2");
    assert_int_equal(read("")->items, 0);
    expect_wrong("item({)", "1: ");
    expect_wrong("item({}", "item(VALUE)");
}

/* Anything but constants is refused, with the line. */
static void test_programs(void **state)
{
    (void)state;
    expect_wrong("return os.execute('true')", "1: expected a constant");
    expect_wrong("return {\n1 + 1 }", "2: ");
    expect_wrong("return { f() }", "1: ");
    expect_wrong("return function() end", "1: ");
    expect_wrong("return {} .. {}", "1: expected the end");
    expect_wrong("local a = 1", "1: expected the end");
    expect_wrong("return (1/1)", "1: expected a constant");
    expect_wrong("return nan", "1: expected a constant");
    expect_wrong("return { [{}] = 1 }", "may not be a key");
    expect_wrong("return { [nil] = 1 }", "may not be a key");
    expect_wrong("return {", "1: ");
    expect_wrong("return", "1: ");
}

static void test_depth(void **state)
{
    char text[512] = "return ";
    (void)state;
    memset(text + 7, '{', 300);
    expect_wrong(text, "too deep");
}

/* However it is cut, it is read or refused, and never beyond its end. */
static void test_cut(void **state)
{
    static const char TEXT[] = "return { [\"a\"] = 'b\\010', c = { 0x10, (1/0) }, --x\n[true] = nil };";
    (void)state;
    assert_non_null(read(TEXT));
    for (size_t len = 0; len < sizeof TEXT - 2; len++) {
        char *cut = mem_strndup(TEXT, len);
        char *exact = malloc(len ? len : 1);
        memcpy(exact, cut, len);
        if (len > 0) assert_null(lua_table_read(arena, exact, len, why, sizeof why));
        free(exact);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_strings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_depth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
