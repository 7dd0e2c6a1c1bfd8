#include "backend/elem_parse.h"
#include "backend/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void printed_text_comes_back(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "<item jid='a@example.com' name='&lt;&amp;'><group>Friends</group></item>",
        "<message to='b@example.com' id='1'><body>x &lt; y</body><x xmlns='urn:x'><y/></x></message>",
        "<query xmlns='jabber:iq:private'><a xmlns=''/></query>",
    };
    struct xml *parser = NULL;
    for (size_t i = 0; i < 3; i++) {
        struct elem *elem = elem_parse(&parser, TEXTS[i], strlen(TEXTS[i]));
        struct buf out = {0};
        assert_non_null(elem);
        elem_print(elem, NS_CLIENT, &out);
        assert_int_equal(buf_len(&out), strlen(TEXTS[i]));
        assert_memory_equal(buf_data(&out), TEXTS[i], buf_len(&out));
        buf_free(&out);
        elem_free(&elem);
    }
    xml_free(&parser);
}

static void other_text_is_refused_and_harms_nothing(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"", "x", "<a", "<a>", "<a/><b/>", "<a/>x", "</stream:stream>", "<a><b></a>"};
    struct xml *parser = NULL;
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        assert_null(elem_parse(&parser, TEXTS[i], strlen(TEXTS[i])));
        struct elem *elem = elem_parse(&parser, "<good/>", 7);
        assert_non_null(elem);
        elem_free(&elem);
    }
    xml_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_text_comes_back),
        cmocka_unit_test(other_text_is_refused_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
