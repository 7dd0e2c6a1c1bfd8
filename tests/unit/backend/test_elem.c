#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/elem.h"
#include "backend/ns.h"

#include <string.h>

static void expect_print(const struct elem *e, const char *default_ns, const char *wanted)
{
    struct buf out = {0};
    elem_print(e, default_ns, &out);
    buf_append(&out, "", 1);
    assert_string_equal((const char *)buf_data(&out), wanted);
    buf_free(&out);
}

static struct elem *root_new(const char *ns, const char *name)
{
    return elem_new(arena_new(), ns, name);
}

static void namespaces_are_written_where_they_change(void **state)
{
    (void)state;
    struct elem *iq = root_new(NS_CLIENT, "iq");
    elem_set(iq, "type", "get");
    struct elem *query = elem_add(iq, NS_DISCO_INFO, "query");
    elem_add(query, NULL, "identity");
    elem_add(query, NS_CLIENT, "back");
    elem_add(query, "", "bare");
    expect_print(iq, NS_CLIENT,
                 "<iq type='get'><query xmlns='" NS_DISCO_INFO "'><identity/><back xmlns='" NS_CLIENT
                 "'/><bare xmlns=''/></query></iq>");
    expect_print(iq, NS_SERVER,
                 "<iq xmlns='" NS_CLIENT "' type='get'><query xmlns='" NS_DISCO_INFO
                 "'><identity/><back xmlns='" NS_CLIENT "'/><bare xmlns=''/></query></iq>");
    expect_print(query, "",
                 "<query xmlns='" NS_DISCO_INFO "'><identity/><back xmlns='" NS_CLIENT "'/><bare xmlns=''/></query>");
    elem_free(&iq);
    assert_null(iq);
    elem_free(&iq);
}

static void attributes_with_a_namespace_get_prefixes(void **state)
{
    (void)state;
    struct elem *e = root_new("", "e");
    elem_set_ns(e, NS_XML, "lang", "de");
    elem_set(e, "a", "plain");
    elem_set_ns(e, "urn:x", "a", "1");
    elem_set_ns(e, "urn:y", "a", "2");
    elem_set_ns(e, "urn:x", "b", "3");
    elem_set_ns(e, "", "c", "none");
    expect_print(e, NULL,
                 "<e xml:lang='de' a='plain' xmlns:n2='urn:x' n2:a='1' xmlns:n3='urn:y' n3:a='2' n2:b='3' c='none'/>");
    assert_string_equal(elem_get(e, "a"), "plain");
    assert_string_equal(elem_get(e, "c"), "none");
    assert_string_equal(elem_get_ns(e, "urn:y", "a"), "2");
    assert_string_equal(elem_get_ns(e, NS_XML, "lang"), "de");
    assert_null(elem_get(e, "lang"));
    assert_null(elem_get_ns(e, "urn:z", "a"));
    elem_free(&e);
}

static void elements_of_the_xml_namespace_keep_its_prefix(void **state)
{
    (void)state;
    struct elem *e = root_new("urn:a", "e");
    struct elem *odd = elem_add(e, NS_XML, "odd");
    elem_add(odd, "urn:a", "in");
    elem_add(odd, "urn:b", "in");
    expect_print(e, "", "<e xmlns='urn:a'><xml:odd><in/><in xmlns='urn:b'/></xml:odd></e>");
    expect_print(odd, "urn:b", "<xml:odd><in xmlns='urn:a'/><in/></xml:odd>");
    elem_free(&e);
}

static void setting_replaces_and_removes(void **state)
{
    (void)state;
    struct elem *e = root_new("", "e");
    elem_set(e, "a", "1");
    elem_set(e, "b", "2");
    elem_set(e, "c", "3");
    elem_set(e, "b", "4");
    expect_print(e, "", "<e a='1' b='4' c='3'/>");
    elem_set(e, "c", NULL);
    elem_set(e, "d", "5"); /* the tail is right after removing it */
    elem_set(e, "a", NULL);
    elem_set(e, "none", NULL);
    expect_print(e, "", "<e b='4' d='5'/>");
    elem_set(e, "b", NULL);
    elem_set(e, "d", NULL);
    assert_null(elem_get(e, "b"));
    elem_set(e, "f", "6");
    expect_print(e, "", "<e f='6'/>");
    elem_free(&e);
}

static void text_is_escaped(void **state)
{
    (void)state;
    static const char raw[] = "<a>&'\"\t\n\r]]>\x01 \xC3\xA4";
    struct elem *e = root_new("", "e");
    elem_set(e, "v", raw);
    elem_add_text(e, raw, strlen(raw));
    expect_print(e, "",
                 "<e v='&lt;a&gt;&amp;&apos;&quot;&#9;&#10;&#13;]]&gt;\xEF\xBF\xBD \xC3\xA4'>"
                 "&lt;a&gt;&amp;'\"\t\n&#13;]]&gt;\xEF\xBF\xBD \xC3\xA4</e>");
    struct buf out = {0};
    elem_escape(raw, 8, &out);
    assert_int_equal(buf_len(&out), strlen("&lt;a&gt;&amp;&apos;&quot;&#9;&#10;"));
    buf_free(&out);
    elem_escape("", 0, &out);
    assert_int_equal(buf_len(&out), 0);
    buf_free(&out);
    elem_free(&e);
}

static void content_is_found(void **state)
{
    (void)state;
    struct elem *e = root_new("urn:a", "e");
    size_t len = 99;
    assert_string_equal(elem_text(e, &len), "");
    assert_int_equal(len, 0);
    elem_add_text(e, "", 0);
    assert_null(e->first);
    elem_add_text(e, "one ", 4);
    const char *only = elem_text(e, &len);
    assert_ptr_equal(only, e->first->text);
    struct elem *x = elem_add(e, "urn:b", "x");
    elem_add_text(x, "inner", 5);
    elem_add_text(e, "two", 3);
    struct elem *y = elem_add(e, NULL, "y");
    assert_string_equal(elem_text(e, &len), "one two");
    assert_int_equal(len, 7);
    assert_string_equal(elem_text(x, NULL), "inner");
    assert_ptr_equal(elem_child(e, NULL, NULL), x);
    assert_ptr_equal(elem_child(e, "urn:a", NULL), y);
    assert_ptr_equal(elem_child(e, NULL, "y"), y);
    assert_null(elem_child(e, "urn:b", "y"));
    assert_null(elem_child(x, NULL, NULL));
    assert_ptr_equal(elem_next_element(x), y);
    assert_null(elem_next_element(y));
    assert_false(elem_is(e->first, NULL, NULL));
    assert_true(elem_is(y, "urn:a", "y"));
    expect_print(e, "urn:a", "<e>one <x xmlns='urn:b'>inner</x>two<y/></e>");
    elem_free(&e);
}

static void a_copy_outlives_its_original(void **state)
{
    (void)state;
    struct elem *e = root_new("urn:a", "e");
    elem_set_ns(e, "urn:x", "a", "1");
    elem_set(e, "a", "2");
    struct elem *deep = elem_add(e, NULL, "in");
    for (unsigned i = 0; i < 1000; i++) {
        elem_add_text(deep, "t", 1);
        deep = elem_add(deep, i % 2 ? "urn:b" : NULL, "d");
    }
    elem_add_text(e, "tail", 4);
    elem_add(e, "urn:c", "last");

    struct buf before = {0}, after = {0};
    elem_print(e, "", &before);
    struct elem *copy = elem_copy(e);
    struct elem *part = elem_copy(e->first);
    elem_free(&e);
    elem_print(copy, "", &after);
    assert_int_equal(buf_len(&before), buf_len(&after));
    assert_memory_equal(buf_data(&before), buf_data(&after), buf_len(&before));
    assert_null(part->parent);
    assert_null(part->next);
    assert_string_equal(part->name, "in");
    buf_free(&before);
    buf_free(&after);
    elem_free(&copy);
    elem_free(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(namespaces_are_written_where_they_change),
        cmocka_unit_test(attributes_with_a_namespace_get_prefixes),
        cmocka_unit_test(elements_of_the_xml_namespace_keep_its_prefix),
        cmocka_unit_test(setting_replaces_and_removes),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(content_is_found),
        cmocka_unit_test(a_copy_outlives_its_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
