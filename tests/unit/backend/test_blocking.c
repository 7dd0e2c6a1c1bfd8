/* Whether a stanza may pass, by the block list and the privacy lists of a user. */
#include "backend/blocking.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/privacy.h"
#include "backend/roster.h"
#include "backend/session.h"
#include "backend/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct shard shard;
static struct user user = {.bare = (char[]){"romeo@example.test"}, .shard = &shard};
static struct session session = {.user = &user};

static int make(void **state)
{
    (void)state;
    list_init(&user.sessions);
    const struct store_record contacts[] = {
        {STORE_ROSTER, "both@example.test",
         "<item subscription='both'><group>Friends</group><group>Work</group></item>"},
        {STORE_ROSTER, "from@example.test", "<item subscription='from'/>"},
        {STORE_ROSTER, "to@example.test", "<item subscription='to' name='Friends'/>"},
    };
    user.parts[USER_PART_ROSTER] = roster_load(&user, contacts, ARRAY_LEN(contacts));
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    user_parts_free(&user);
    session.active_list = NULL;
    xml_free(&shard.parser);
    return 0;
}

static struct jid *jid(const char *text)
{
    struct jid *parsed = jid_parse(text, strlen(text), NULL);
    assert_non_null(parsed);
    return parsed;
}

static bool passes(const char *kind, const char *type, const char *other, bool incoming)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, kind);
    elem_set(elem, "type", type);
    struct stanza *stanza = stanza_new(elem);
    struct jid *one = jid(other), *own = jid("romeo@example.test/r");
    stanza_address(stanza, incoming ? one : own, incoming ? own : one);
    const bool result = blocking_allows(&user, &session, stanza, incoming);
    stanza_free(&stanza);
    return result;
}

static void list(const char *text)
{
    struct elem *elem = elem_parse(&shard.parser, text, strlen(text));
    assert_non_null(elem);
    struct privacy_list *list = privacy_list_new(elem);
    assert_non_null(list);
    privacy_put(&user, list);
    elem_free(&elem);
}

/* A list with these items, in force. */
static void in_force(const char *items)
{
    char text[1024];
    snprintf(text, sizeof(text), "<list xmlns='jabber:iq:privacy' name='x'>%s</list>", items);
    list(text);
    privacy_set_default(&user, "x");
}

static bool comes(const char *other)
{
    return passes("message", NULL, other, true);
}

static void blocked_is_blocked_both_ways(void **state)
{
    (void)state;
    static const char *const JIDS[] = {"z@example.test", "domain.test", "eve@example.test", "a@b.test/phone"};
    assert_true(comes("eve@example.test/x"));
    blocking_set(&user, JIDS, ARRAY_LEN(JIDS));
    assert_true(blocking_has(&user, "eve@example.test"));
    assert_false(blocking_has(&user, "bob@example.test"));
    static const char *const KINDS[] = {"message", "iq", "presence"};
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        assert_false(passes(KINDS[i], NULL, "eve@example.test/x", true));
        assert_false(passes(KINDS[i], NULL, "eve@example.test", false));
        assert_false(passes(KINDS[i], NULL, "anybody@domain.test/x", true));
        assert_false(passes(KINDS[i], NULL, "a@b.test/phone", true));
        assert_true(passes(KINDS[i], NULL, "a@b.test/home", true));
        assert_true(passes(KINDS[i], NULL, "both@example.test", true));
    }
    blocking_set(&user, NULL, 0);
    assert_true(blocking_is_simple(&user));
    assert_true(comes("eve@example.test/x"));
}

static void the_own_account_and_server_cannot_be_shut_out(void **state)
{
    (void)state;
    static const char *const JIDS[] = {"example.test", "romeo@example.test"};
    blocking_set(&user, JIDS, ARRAY_LEN(JIDS));
    in_force("<item action='deny' order='1'/>");
    assert_true(passes("iq", "result", "romeo@example.test/other", true));
    assert_true(passes("iq", "get", "example.test", false));
    assert_true(passes("message", NULL, "example.test", true));
    assert_false(comes("juliet@example.test"));
}

/* Conforms: XEP-0016, 2.1: items by JID, group, subscription and for all, in ascending order */
static void the_first_item_that_matches_decides(void **state)
{
    (void)state;
    in_force("<item type='jid' value='Eve@Example.test' action='allow' order='2'/><item action='deny' order='9'/>"
             "<item type='group' value='Friends' action='allow' order='3'/>");
    assert_true(comes("eve@example.test/x"));
    assert_true(comes("both@example.test"));
    assert_false(comes("to@example.test"));
    in_force("<item type='subscription' value='both' action='allow' order='7'/>"
             "<item type='subscription' value='none' action='allow' order='8'/><item action='deny' order='9'/>");
    assert_true(comes("both@example.test"));
    assert_true(comes("unknown@example.test"));
    assert_false(comes("from@example.test"));
    assert_false(comes("to@example.test"));
    in_force("<item type='jid' value='eve@example.test' action='deny' order='1'/>");
    assert_false(comes("eve@example.test"));
    assert_true(comes("bob@example.test"));
    privacy_set_default(&user, NULL);
    assert_true(comes("eve@example.test"));
    privacy_drop(&user, "x");
    assert_true(blocking_is_simple(&user));
}

/* Conforms: XEP-0016, 2.11: presence notifications are told from subscriptions, and one direction from the other */
static void kinds_of_stanzas(void **state)
{
    (void)state;
    in_force("<item action='deny' order='1'><message/></item>");
    assert_false(comes("a@b"));
    assert_true(passes("message", NULL, "a@b", false));
    assert_true(passes("iq", "get", "a@b", true));
    in_force("<item action='deny' order='1'><iq/><presence-in/></item>");
    assert_true(comes("a@b"));
    assert_false(passes("iq", "get", "a@b", true));
    assert_true(passes("iq", "get", "a@b", false));
    assert_false(passes("presence", NULL, "a@b", true));
    assert_false(passes("presence", "unavailable", "a@b", true));
    assert_true(passes("presence", "subscribe", "a@b", true));
    assert_true(passes("presence", NULL, "a@b", false));
    in_force("<item action='deny' order='1'><presence-out/></item>");
    assert_false(passes("presence", NULL, "a@b", false));
    assert_true(passes("presence", NULL, "a@b", true));
    assert_true(passes("presence", "subscribe", "a@b", false));
    in_force("<item action='deny' order='1'/>");
    assert_false(passes("presence", "subscribe", "a@b", false));
    assert_false(passes("presence", "subscribe", "a@b", true));
    assert_false(passes("message", NULL, "a@b", false));
}

/* Conforms: XEP-0016, 2.2: an active list alone decides for its session */
static void an_active_list_stands_for_the_default(void **state)
{
    (void)state;
    in_force("<item action='deny' order='1'/>");
    list("<list xmlns='jabber:iq:privacy' name='open'/>");
    assert_false(comes("a@b"));
    session.active_list = (char[]){"open"};
    assert_true(comes("a@b"));
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const ITEMS[] = {
        "<item order='1'/>",
        "<item action='maybe' order='1'/>",
        "<item action='deny'/>",
        "<item action='deny' order='-1'/>",
        "<item action='deny' order='1x'/>",
        "<item action='deny' order='4294967296'/>",
        "<item action='deny' order='1'/><item action='allow' order='1'/>",
        "<item action='deny' order='1' type='color' value='red'/>",
        "<item action='deny' order='1' type='jid'/>",
        "<item action='deny' order='1' type='jid' value='@'/>",
        "<item action='deny' order='1' type='subscription' value='remove'/>",
        "<item action='deny' order='1'><presence/></item>",
        "<thing action='deny' order='1'/>",
    };
    for (size_t i = 0; i < ARRAY_LEN(ITEMS); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "<list xmlns='jabber:iq:privacy' name='x'>%s</list>", ITEMS[i]);
        struct elem *elem = elem_parse(&shard.parser, text, strlen(text));
        assert_non_null(elem);
        struct privacy_list *list = privacy_list_new(elem);
        if (list) fail_msg("taken: %s", ITEMS[i]);
        elem_free(&elem);
    }
}

static void a_list_is_read_as_it_was_printed(void **state)
{
    (void)state;
    static const char TEXT[] = "<list xmlns='jabber:iq:privacy' name='a &amp; b'>"
                               "<item type='group' value='Friends' action='allow' order='3'><message/><presence-out/>"
                               "</item><item action='deny' order='9'/></list>";
    list(TEXT);
    struct elem *query = elem_new(arena_new(), NS_PRIVACY, "query");
    privacy_list_print(privacy_find(&user, "a & b"), query);
    struct buf out = {0};
    elem_print(elem_child(query, NULL, NULL), NS_CLIENT, &out);
    assert_int_equal(buf_len(&out), strlen(TEXT));
    assert_memory_equal(buf_data(&out), TEXT, strlen(TEXT));
    buf_free(&out);
    elem_free(&query);
    const struct store_record records[] = {{STORE_PRIVACY, "default", "<default name='a &amp; b'/>"},
                                           {STORE_PRIVACY, "list/a & b", TEXT}};
    privacy_free(user.parts[USER_PART_PRIVACY]);
    user.parts[USER_PART_PRIVACY] = privacy_load(&user, records, ARRAY_LEN(records));
    assert_false(comes("eve@example.test"));
    assert_true(comes("both@example.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocked_is_blocked_both_ways, make, unmake),
        cmocka_unit_test_setup_teardown(the_own_account_and_server_cannot_be_shut_out, make, unmake),
        cmocka_unit_test_setup_teardown(the_first_item_that_matches_decides, make, unmake),
        cmocka_unit_test_setup_teardown(kinds_of_stanzas, make, unmake),
        cmocka_unit_test_setup_teardown(an_active_list_stands_for_the_default, make, unmake),
        cmocka_unit_test_setup_teardown(what_is_no_list_is_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_list_is_read_as_it_was_printed, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
