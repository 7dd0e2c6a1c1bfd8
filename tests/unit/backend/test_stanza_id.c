/* The ids of archives: as text, in a message, and forged ones. */
#include "backend/stanza_id.h"

#include "backend/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct stanza *message(void)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, "message");
    elem_add_text(elem_add(elem, NULL, "body"), "x", 1);
    struct stanza *stanza = stanza_new(elem);
    assert_non_null(stanza);
    stanza_address(stanza, jid_parse("a@example.org", 13, NULL), jid_parse("b@example.test/r", 16, NULL));
    return stanza;
}

static void claim(const struct stanza *stanza, const char *name, const char *by)
{
    struct elem *claim = elem_add(stanza->elem, NS_SID, name);
    elem_set(claim, "id", "1");
    elem_set(claim, "by", by);
}

static void assert_printed(const struct stanza *stanza, const char *content)
{
    struct buf out = {0};
    stanza_print(stanza, &out);
    buf_append(&out, "", 1);
    const char *place = strstr((const char *)buf_data(&out), "<body>");
    assert_non_null(place);
    assert_string_equal(place, content);
    buf_free(&out);
}

static void as_text(void **state)
{
    static const char *const WRONG[] = {
        "", "0", "01", "-1", "+1", " 1", "1 ", "x", "18446744073709551616", "99999999999999999999999"};
    static const uint64_t IDS[] = {1, 1700000000000000, (uint64_t)INT64_MAX};
    char text[STANZA_ID_BYTES];
    uint64_t id = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(IDS); i++) {
        assert_true(stanza_id_read(stanza_id_write(IDS[i], text), &id));
        assert_int_equal(id, IDS[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++)
        if (stanza_id_read(WRONG[i], &id)) fail_msg("\"%s\" is %llu", WRONG[i], (unsigned long long)id);
}

static void told_at_the_end(void **state)
{
    (void)state;
    struct stanza *stanza = message();
    assert_printed(stanza, "<body>x</body></message>");
    stanza->archive_id = 42;
    assert_printed(stanza, "<body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='b@example.test' id='42'/></message>");
    stanza_text(stanza);
    assert_printed(stanza, "<body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='b@example.test' id='42'/></message>");
    stanza_free(&stanza);
}

/* Conforms: XEP-0359, 3: what others say in our name is deleted, however our address is written; other ids are kept */
static void forged_ones(void **state)
{
    (void)state;
    struct stanza *stanza = message();
    claim(stanza, "stanza-id", "b@example.test");
    claim(stanza, "stanza-id", "room@example.test");
    claim(stanza, "origin-id", "b@example.test");
    claim(stanza, "stanza-id", "B@EXAMPLE.test");
    claim(stanza, "stanza-id", "b@example.test/r");
    claim(stanza, "stanza-id", NULL);
    claim(stanza, "stanza-id", "@");
    stanza_text(stanza);
    stanza_id_strip(stanza, "b@example.test");
    assert_null(stanza->text);
    assert_printed(stanza, "<body>x</body><stanza-id xmlns='urn:xmpp:sid:0' id='1' by='room@example.test'/>"
                           "<origin-id xmlns='urn:xmpp:sid:0' id='1' by='b@example.test'/>"
                           "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='b@example.test/r'/>"
                           "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>"
                           "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='@'/></message>");
    stanza_text(stanza);
    stanza_id_strip(stanza, "b@example.test");
    assert_non_null(stanza->text);
    stanza_free(&stanza);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_text),
        cmocka_unit_test(told_at_the_end),
        cmocka_unit_test(forged_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
