#include "backend/roster.h"

#include "backend/shard.h"
#include "backend/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTACTS = 500, ADDRESS_BYTES = 32 };

static struct shard shard;
static struct user user = {.shard = &shard, .bare = (char[]){"juliet@example.test"}};

static int forget(void **state)
{
    (void)state;
    roster_forget(&user);
    xml_free(&shard.parser);
    return 0;
}

static void load(const struct store_record *records, size_t count)
{
    user.parts[USER_PART_ROSTER] = roster_load(&user, records, count);
}

static void records_are_read(void **state)
{
    static const struct store_record RECORDS[] = {
        {STORE_ROSTER, "", "<removed v='40'/>"},
        {STORE_ROSTER, "a@example.test", "<item subscription='to' v='30'/>"},
        {STORE_ROSTER, "b@example.test", "<item pending='in'/>"},
        {STORE_ROSTER, "c@example.test", "<item subscription='both' v='20'/>"},
    };
    (void)state;
    load(RECORDS, ARRAY_LEN(RECORDS));
    assert_int_equal(roster_of(&user)->count, 3);
    assert_int_equal(roster_of(&user)->removed, 40);
    assert_int_equal(roster_of(&user)->version, 40);
    assert_int_equal(roster_flags(&user, "a@example.test"), ROSTER_LISTED | ROSTER_TO);
    assert_int_equal(roster_flags(&user, "b@example.test"), ROSTER_PENDING_IN);
    assert_int_equal(roster_flags(&user, ""), 0);
    assert_int_equal(roster_flags(&user, "d@example.test"), 0);
    assert_int_equal(roster_count(&user, ROSTER_LISTED), 2);
    assert_int_equal(roster_count(&user, ROSTER_FROM | ROSTER_TO), 1);
    assert_null(roster_find(&user, "a@example.tes"));
}

/* Records of another hand are left out, and the rest is there. */
static void what_cannot_be_read(void **state)
{
    static const struct store_record RECORDS[] = {
        {STORE_ROSTER, "", "<item subscription='to'/>"},
        {STORE_ROSTER, "a@example.test", "<item"},
        {STORE_ROSTER, "b@example.test", "<other/>"},
        {STORE_ROSTER, "c@example.test", ""},
        {STORE_ROSTER, "d@example.test", "<removed v='1'/>"},
        {STORE_ROSTER, "e@example.test", "<item subscription='to'/>"},
    };
    (void)state;
    load(RECORDS, ARRAY_LEN(RECORDS));
    assert_int_equal(roster_of(&user)->count, 1);
    assert_int_equal(roster_of(&user)->version, 0);
    assert_non_null(roster_find(&user, "e@example.test"));
}

static const char *address(unsigned i)
{
    static char text[ADDRESS_BYTES];
    snprintf(text, sizeof(text), "%u@example.test", i);
    return text;
}

static void put(unsigned i, uint8_t flags, uint64_t version)
{
    struct roster_item *item = roster_item_new(address(i), NULL);
    item->flags = flags;
    item->version = version;
    roster_put(&user, item);
}

static void assert_sorted(size_t count)
{
    const struct roster *roster = roster_of(&user);
    assert_int_equal(roster->count, count);
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(roster_jid(roster->items[i - 1]), roster_jid(roster->items[i])) < 0);
}

static void contacts_come_and_go(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONTACTS; i++)
        put(i * 7919 % CONTACTS, ROSTER_LISTED, i + 1); /* a prime: each number once */
    assert_sorted(CONTACTS);
    assert_int_equal(roster_of(&user)->version, CONTACTS);
    put(17, ROSTER_LISTED | ROSTER_TO, CONTACTS + 1);
    assert_sorted(CONTACTS);
    assert_int_equal(roster_flags(&user, address(17)), ROSTER_LISTED | ROSTER_TO);
    for (unsigned i = 0; i < CONTACTS; i += 2)
        roster_drop(&user, address(i), CONTACTS + 2 + i);
    assert_sorted(CONTACTS / 2);
    assert_int_equal(roster_of(&user)->removed, 2 * CONTACTS);
    assert_int_equal(roster_of(&user)->version, 2 * CONTACTS);
    for (unsigned i = 0; i < CONTACTS; i++)
        assert_int_equal(roster_find(&user, address(i)) != NULL, i % 2);
}

static void who_was_not_listed_leaves_no_version(void **state)
{
    (void)state;
    put(1, ROSTER_PENDING_IN, 0);
    roster_drop(&user, address(1), 0);
    roster_drop(&user, address(2), 0);
    assert_int_equal(roster_of(&user)->count, 0);
    assert_int_equal(roster_of(&user)->version, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(records_are_read, forget),
        cmocka_unit_test_teardown(what_cannot_be_read, forget),
        cmocka_unit_test_teardown(contacts_come_and_go, forget),
        cmocka_unit_test_teardown(who_was_not_listed_leaves_no_version, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
