/* Elements are found whole, wherever they are cut, and attributes by their names. */
#include "bench/backend/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct text text(const char *at)
{
    return (struct text){at, strlen(at)};
}

static void assert_text(struct text got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.at, wanted, got.len);
}

/* In memory that ends where the text ends. */
static enum scan_result scan_copy(const char *from, size_t len, size_t *used)
{
    struct scan_element element;
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, from, len);
    enum scan_result result = scan_next((struct text){copy, len}, &element, used);
    free(copy);
    return result;
}

static void finds_what_is_whole(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum scan_result result;
    } cases[] = {
        {"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id=\"a>b\">", SCAN_HEADER},
        {"</stream:stream>", SCAN_END},
        {" \n<r/>", SCAN_ELEMENT},
        {"<r xmlns='urn:xmpp:sm:3'/>", SCAN_ELEMENT},
        {"<message to='a/>b' from=\"it's\"><body>1 &lt; 2</body><x><y/><y></y></x></message>", SCAN_ELEMENT},
        {"<iq><query xmlns='jabber:iq:roster'><item jid='a'><group>G</group></item><item/></query></iq>", SCAN_ELEMENT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].in), used;
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(scan_copy(cases[i].in, cut, &used), SCAN_MORE);
        assert_int_equal(scan_copy(cases[i].in, len, &used), cases[i].result);
        assert_int_equal(used, len);
    }
}

static void one_behind_the_other(void **state)
{
    (void)state;
    struct text in = text("<a><b/></a> <c x='1'/>\n<d");
    struct scan_element element;
    size_t used;
    assert_int_equal(scan_next(in, &element, &used), SCAN_ELEMENT);
    assert_text(element.name, "a");
    assert_text(element.all, "<a><b/></a>");
    assert_text(element.tag, "<a>");
    in = (struct text){in.at + used, in.len - used};
    assert_int_equal(scan_next(in, &element, &used), SCAN_ELEMENT);
    assert_text(element.name, "c");
    in = (struct text){in.at + used, in.len - used};
    assert_int_equal(scan_next(in, &element, &used), SCAN_MORE);
    assert_int_equal(used, 1);
}

static void refuses_what_no_server_sends(void **state)
{
    (void)state;
    size_t used;
    assert_int_equal(scan_copy("text", 4, &used), SCAN_BAD);
    assert_int_equal(scan_copy("<a><!-- a comment --></a>", 25, &used), SCAN_BAD);
    assert_int_equal(scan_copy("<a><?pi ?></a>", 14, &used), SCAN_BAD);
}

static void attributes(void **state)
{
    (void)state;
    struct text tag = text("<message xml:lang='en' id=\"it's\"\n to='a@b/from=c' type='chat'/>");
    struct scan_stanza stanza;
    scan_stanza(tag, &stanza);
    assert_text(stanza.id, "it's");
    assert_text(stanza.to, "a@b/from=c");
    assert_text(stanza.type, "chat");
    assert_null(stanza.from.at);
    assert_text(scan_attribute(tag, TEXT("xml:lang")), "en");
    assert_null(scan_attribute(tag, TEXT("lang")).at);
    assert_null(scan_attribute(text("<r/>"), TEXT("h")).at);
}

static void inside(void **state)
{
    (void)state;
    assert_text(scan_inside(text("<m><b>x</b><body>one</body><body>two</body></m>"), TEXT("body")), "one");
    assert_null(scan_inside(text("<m><body2>x</body2></m>"), TEXT("body")).at);
    assert_null(scan_inside(text("<m><body"), TEXT("body")).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_whole),
        cmocka_unit_test(one_behind_the_other),
        cmocka_unit_test(refuses_what_no_server_sends),
        cmocka_unit_test(attributes),
        cmocka_unit_test(inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
