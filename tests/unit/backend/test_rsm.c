/* Parts of long lists: what a client asks for, and what it is told. */
#include "backend/rsm.h"

#include "backend/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct elem *request(void)
{
    struct elem *query = elem_new(arena_new(), NS_MAM, "query");
    elem_add(query, NS_RSM, "set");
    return query;
}

static void put(struct elem *query, const char *name, const char *text)
{
    elem_add_text(elem_add(query->first, NULL, name), text, strlen(text));
}

static void without_a_set(void **state)
{
    (void)state;
    struct elem *query = elem_new(arena_new(), NS_MAM, "query");
    struct rsm rsm;
    assert_true(rsm_read(query, &rsm));
    assert_false(rsm.has_max);
    assert_false(rsm.has_index);
    assert_null(rsm.after);
    assert_null(rsm.before);
    elem_free(&query);
}

static void what_is_asked_for(void **state)
{
    (void)state;
    struct elem *query = request();
    struct rsm rsm;
    put(query, "max", "10");
    put(query, "after", "x1");
    put(query, "before", "");
    assert_true(rsm_read(query, &rsm));
    assert_true(rsm.has_max);
    assert_int_equal(rsm.max, 10);
    assert_string_equal(rsm.after, "x1");
    assert_string_equal(rsm.before, "");
    assert_false(rsm.has_index);
    put(query, "index", "3");
    assert_true(rsm_read(query, &rsm));
    assert_true(rsm.has_index);
    elem_free(&query);
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool right;
        uint32_t value;
    } ROWS[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"4294967295", true, UINT32_MAX},
        {"4294967296", true, UINT32_MAX},
        {"99999999999999999999999999999999", true, UINT32_MAX},
        {"", false, 0},
        {"-1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"ten", false, 0},
        {"1e3", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct elem *max = request(), *index = request();
        struct rsm rsm;
        put(max, "max", ROWS[i].text);
        put(index, "index", ROWS[i].text);
        if (rsm_read(max, &rsm) != ROWS[i].right) fail_msg("max %s", ROWS[i].text);
        if (ROWS[i].right) assert_int_equal(rsm.max, ROWS[i].value);
        if (rsm_read(index, &rsm) != ROWS[i].right) fail_msg("index %s", ROWS[i].text);
        elem_free(&max);
        elem_free(&index);
    }
}

static void assert_added(const struct rsm_page *page, const char *wanted)
{
    struct elem *fin = elem_new(arena_new(), NS_MAM, "fin");
    struct buf out = {0};
    rsm_add(fin, page);
    elem_print(fin, NS_MAM, &out);
    buf_append(&out, "", 1);
    assert_string_equal((const char *)buf_data(&out), wanted);
    buf_free(&out);
    elem_free(&fin);
}

/* Conforms: XEP-0059, 2.2: the UIDs of the first and the last item; neither when there is none */
static void what_is_told(void **state)
{
    (void)state;
    assert_added(&(struct rsm_page){0}, "<fin><set xmlns='" NS_RSM "'/></fin>");
    assert_added(&(struct rsm_page){.has_count = true, .count = 790, .has_index = true},
                 "<fin><set xmlns='" NS_RSM "'><count>790</count></set></fin>");
    assert_added(&(struct rsm_page){.first = "a", .last = "b"},
                 "<fin><set xmlns='" NS_RSM "'><first>a</first><last>b</last></set></fin>");
    assert_added(
        &(struct rsm_page){.first = "a", .last = "a", .has_count = true, .count = 5, .has_index = true, .index = 4},
        "<fin><set xmlns='" NS_RSM "'><first index='4'>a</first><last>a</last><count>5</count></set></fin>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_set),
        cmocka_unit_test(what_is_asked_for),
        cmocka_unit_test(numbers),
        cmocka_unit_test(what_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
