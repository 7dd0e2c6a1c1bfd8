/* The hash of XEP-0115, by the examples of its section 5, and the host's own. */
#include "backend/caps.h"

#include "backend/data_form.h"
#include "backend/disco.h"
#include "backend/ns.h"
#include "tests/unit/hosts_fixture.h"

static struct elem *query;

static int make(void **state)
{
    (void)state;
    query = elem_new(arena_new(), NS_DISCO_INFO, "query");
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    elem_free(&query);
    return 0;
}

static void identity(const char *category, const char *type, const char *lang, const char *name)
{
    struct elem *e = elem_add(query, NULL, "identity");
    elem_set(e, "category", category);
    elem_set(e, "type", type);
    if (lang) elem_set_ns(e, NS_XML, "lang", lang);
    elem_set(e, "name", name);
}

static void features(void)
{
    static const char *const VARS[] = {"http://jabber.org/protocol/muc", "http://jabber.org/protocol/disco#items",
                                       "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps"};
    for (size_t i = 0; i < ARRAY_LEN(VARS); i++)
        elem_set(elem_add(query, NULL, "feature"), "var", VARS[i]);
}

static void assert_hash(const char *wanted)
{
    char hash[CAPS_HASH_BYTES];
    caps_hash(query, hash);
    assert_string_equal(hash, wanted);
}

/* Conforms: XEP-0115, 5.2: the hash of the simple example */
static void the_simple_example(void **state)
{
    (void)state;
    identity("client", "pc", NULL, "Exodus 0.9.1");
    features();
    assert_hash("QgayPKawpkPSDYmwT/WM94uAlu0=");
}

/* Conforms: XEP-0115, 5.3: the hash of the complex example */
static void the_complex_example(void **state)
{
    (void)state;
    struct elem *form = data_form_add(query, "result", NS_SOFTWARE_INFO);
    data_form_field(form, "software_version", NULL, NULL, "0.11");
    data_form_value(data_form_field(form, "ip_version", "text-multi", NULL, "ipv6"), "ipv4");
    data_form_field(form, "software", NULL, NULL, "Psi");
    data_form_field(form, "os", NULL, NULL, "Mac");
    data_form_field(form, "os_version", NULL, NULL, "10.5.1");
    identity("client", "pc", "en", "Psi 0.11");
    identity("client", "pc", "el", "Ψ 0.11");
    features();
    assert_hash("q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

static void the_node_of_a_host_changes_with_what_it_says(void **state)
{
    (void)state;
    struct hosts *plain = hosts_fixture(""), *open = hosts_fixture("announce-os = true");
    struct buf text = {0};
    caps_add_feature(hosts_find(plain, "example.test"), &text);
    buf_append(&text, "", 1);
    const char *ver = strstr((const char *)buf_data(&text), "ver='");
    assert_non_null(ver);
    char *node = mem_asprintf("https://postern.invalid#%.28s", ver + strlen("ver='"));
    assert_true(caps_is_node(hosts_find(plain, "example.test"), node));
    assert_false(caps_is_node(hosts_find(open, "example.test"), node));
    assert_false(caps_is_node(hosts_find(plain, "example.test"), "https://postern.invalid"));
    free(node);
    buf_free(&text);
    hosts_unref(&plain);
    hosts_unref(&open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_simple_example, make, unmake),
        cmocka_unit_test_setup_teardown(the_complex_example, make, unmake),
        cmocka_unit_test(the_node_of_a_host_changes_with_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
