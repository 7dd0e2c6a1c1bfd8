#include "backend/roster_item.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct xml *parser;

static struct roster_item *item(const char *text)
{
    struct elem *elem = elem_parse(&parser, text, strlen(text));
    assert_non_null(elem);
    struct roster_item *made = roster_item_read("nurse@example.test", elem);
    elem_free(&elem);
    return made;
}

static void assert_text(struct buf *out, const char *wanted)
{
    buf_append(out, "", 1);
    assert_string_equal((const char *)buf_data(out), wanted);
    buf_free(out);
}

static const struct {
    const char *record;
    uint8_t flags;
    const char *seen; /* by clients */
} ROWS[] = {
    {"<item subscription='none'/>", ROSTER_LISTED, "<item jid='nurse@example.test' subscription='none'/>"},
    {"<item pending='in'/>", ROSTER_PENDING_IN, "<item jid='nurse@example.test'/>"},
    {"<item name='Nurse' subscription='both' v='281474976710655'><group>A</group><group>B &lt;</group></item>",
     ROSTER_LISTED | ROSTER_TO | ROSTER_FROM,
     "<item jid='nurse@example.test' name='Nurse' subscription='both'><group>A</group><group>B &lt;</group></item>"},
    {"<item subscription='from' ask='subscribe' v='7'/>", ROSTER_LISTED | ROSTER_FROM | ROSTER_PENDING_OUT,
     "<item jid='nurse@example.test' subscription='from' ask='subscribe'/>"},
    {"<item subscription='to' approved='true' v='7'/>", ROSTER_LISTED | ROSTER_TO | ROSTER_APPROVED,
     "<item jid='nurse@example.test' subscription='to' approved='true'/>"},
    {"<item subscription='to' pending='in' v='7'/>", ROSTER_LISTED | ROSTER_TO | ROSTER_PENDING_IN,
     "<item jid='nurse@example.test' subscription='to'/>"},
};

static void records_come_back_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct roster_item *read = item(ROWS[i].record);
        struct roster_item *copy = roster_item_copy(read, read->flags);
        struct buf out = {0};
        assert_int_equal(read->flags, ROWS[i].flags);
        free(read);
        roster_item_print(copy, &out);
        assert_text(&out, ROWS[i].record);
        struct elem *query = elem_new(arena_new(), NS_ROSTER, "query");
        roster_item_add(copy, query);
        elem_print(elem_child(query, NULL, NULL), NS_ROSTER, &out);
        assert_text(&out, ROWS[i].seen);
        elem_free(&query);
        free(copy);
    }
}

/* What somebody else has written into the store is taken as far as it makes sense. */
static void a_record_of_another_hand(void **state)
{
    (void)state;
    struct roster_item *read = item("<item subscription='x' ask='no' v='x' name=''>text<other/><group/></item>");
    assert_int_equal(read->flags, 0);
    assert_int_equal(read->version, 0);
    assert_int_equal(read->groups, 1);
    assert_string_equal(roster_name(read), "");
    free(read);
}

static void no_more_groups_than_can_be_counted(void **state)
{
    struct buf text = {0};
    (void)state;
    buf_append_str(&text, "<item subscription='none'>");
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "<group>%d</group>", i);
    buf_append_str(&text, "</item>");
    buf_append(&text, "", 1);
    struct roster_item *read = item((const char *)buf_data(&text));
    assert_int_equal(read->groups, ROSTER_GROUPS_MAX);
    buf_free(&text);
    roster_item_print(read, &text);
    buf_append(&text, "", 1);
    assert_non_null(strstr((const char *)buf_data(&text), "<group>254</group></item>"));
    buf_free(&text);
    free(read);
}

static int free_parser(void **state)
{
    (void)state;
    xml_free(&parser);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_as_they_were),
        cmocka_unit_test(a_record_of_another_hand),
        cmocka_unit_test(no_more_groups_than_can_be_counted),
    };
    return cmocka_run_group_tests(tests, NULL, free_parser);
}
