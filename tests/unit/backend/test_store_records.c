#include "backend/store.h"

#include "tests/unit/backend/store_fixture.h"

#define KIND(kind) (1u << STORE_##kind)
#define ALL        ((1u << STORE_KINDS) - 1)

/* What was found, as "kind:key=value " each. */
static char found[4096];
static size_t found_count;

static const char *const KIND_NAMES[] = {
#define STORE_KIND(id, name, help) name,
#include "backend/store_kinds.def"
#undef STORE_KIND
};

static void on_records(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    size_t used = 0;

    (void)arg;
    found[0] = '\0';
    found_count = count;
    for (size_t i = 0; i < count && used < sizeof found; i++)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s:%s=%s ", KIND_NAMES[records[i].kind],
                                 records[i].key, records[i].value);
    answered(status);
}

static enum store_status get(struct store *store, const char *owner, unsigned kinds, const char *key)
{
    store_records_get(store, mailbox, owner, kinds, key, on_records, NULL);
    return wait_for(1);
}

static void expect(struct store *store, const char *owner, unsigned kinds, const char *key, const char *wanted)
{
    assert_int_equal(get(store, owner, kinds, key), STORE_OK);
    assert_string_equal(found, wanted);
}

static enum store_status set(struct store *store, const char *owner, enum store_kind kind, const char *key,
                             const char *value)
{
    const struct store_record change = {.kind = kind, .key = key, .value = value};
    store_records_change(store, mailbox, owner, &change, 1, on_done, NULL);
    return wait_for(1);
}

static void test_set_and_get(void **state)
{
    struct store *store = open_store(*state);

    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    expect(store, "juliet@a.test", ALL, NULL, "");
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "romeo@a.test", "<item/>"), STORE_OK);
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "nurse@a.test", ""), STORE_OK);
    assert_int_equal(set(store, "juliet@a.test", STORE_PRIVATE, "x y", "<y xmlns='x'>\xc3\xa4'\"</y>"), STORE_OK);
    expect(store, "juliet@a.test", KIND(ROSTER), NULL, "roster:nurse@a.test= roster:romeo@a.test=<item/> ");
    expect(store, "juliet@a.test", KIND(ROSTER), "romeo@a.test", "roster:romeo@a.test=<item/> ");
    expect(store, "juliet@a.test", KIND(ROSTER), "Romeo@a.test", "");
    expect(store, "juliet@a.test", KIND(VCARD), NULL, "");
    expect(store, "juliet@a.test", KIND(PRIVATE) | KIND(ROSTER) | KIND(VCARD), NULL,
           "roster:nurse@a.test= roster:romeo@a.test=<item/> private:x y=<y xmlns='x'>\xc3\xa4'\"</y> ");
    expect(store, "juliet@a.test", ALL, "x y", "private:x y=<y xmlns='x'>\xc3\xa4'\"</y> ");

    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "romeo@a.test", "<other/>"), STORE_OK);
    expect(store, "juliet@a.test", KIND(ROSTER), "romeo@a.test", "roster:romeo@a.test=<other/> ");
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "romeo@a.test", NULL), STORE_OK);
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "romeo@a.test", NULL), STORE_OK);
    expect(store, "juliet@a.test", KIND(ROSTER), NULL, "roster:nurse@a.test= ");
    store_close(&store);
}

/* Only accounts and domains own; what is one's own is nobody else's, and goes with the account. */
static void test_owners(void **state)
{
    struct store *store = open_store(*state);

    assert_int_equal(get(store, "juliet@a.test", ALL, NULL), STORE_NOT_FOUND);
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "k", "v"), STORE_NOT_FOUND);
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "k", NULL), STORE_NOT_FOUND);
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(add(store, "juliet", "b.test", 1), STORE_OK);
    expect(store, "juliet@a.test", ALL, NULL, "");
    expect(store, "a.test", ALL, NULL, "");
    assert_int_equal(set(store, "a.test", STORE_SETTING, "motd", "host"), STORE_OK);
    assert_int_equal(set(store, "juliet@a.test", STORE_SETTING, "motd", "mine"), STORE_OK);
    assert_int_equal(set(store, "juliet@b.test", STORE_SETTING, "motd", "hers"), STORE_OK);
    expect(store, "a.test", ALL, NULL, "setting:motd=host ");
    expect(store, "juliet@a.test", ALL, NULL, "setting:motd=mine ");
    expect(store, "juliet@b.test", ALL, NULL, "setting:motd=hers ");

    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    assert_int_equal(get(store, "juliet@a.test", ALL, NULL), STORE_NOT_FOUND);
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    expect(store, "juliet@a.test", ALL, NULL, "");
    expect(store, "juliet@b.test", ALL, NULL, "setting:motd=hers ");
    expect(store, "a.test", ALL, NULL, "setting:motd=host ");
    store_close(&store);
}

/* All changes of one call, or none; the last for a key wins. */
static void test_several(void **state)
{
    struct store *store = open_store(*state);
    char longest[STORE_KEY_TEXT_MAX_BYTES + 2];
    struct store_record changes[] = {
        {STORE_ROSTER, "a", "1"},  {STORE_ROSTER, "b", "2"}, {STORE_BLOCKED, "a", "3"},
        {STORE_ROSTER, "b", NULL}, {STORE_ROSTER, "c", "4"}, {STORE_ROSTER, "a", "5"},
    };

    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    store_records_change(store, mailbox, "juliet@a.test", changes, ARRAY_LEN(changes), on_done, NULL);
    memset(changes, 0, sizeof changes); /* it was copied */
    assert_int_equal(wait_for(1), STORE_OK);
    expect(store, "juliet@a.test", ALL, NULL, "roster:a=5 roster:c=4 blocked:a=3 ");
    store_records_change(store, mailbox, "juliet@a.test", changes, 0, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);

    memset(longest, 'k', sizeof longest);
    longest[STORE_KEY_TEXT_MAX_BYTES] = '\0';
    assert_int_equal(set(store, "juliet@a.test", STORE_VCARD, longest, "fits"), STORE_OK);
    assert_int_equal(get(store, "juliet@a.test", KIND(VCARD), longest), STORE_OK);
    assert_int_equal(found_count, 1);
    longest[STORE_KEY_TEXT_MAX_BYTES] = 'k';
    longest[STORE_KEY_TEXT_MAX_BYTES + 1] = '\0';
    changes[0] = (struct store_record){STORE_ROSTER, "d", "6"};
    changes[1] = (struct store_record){STORE_ROSTER, longest, "7"};
    store_records_change(store, mailbox, "juliet@a.test", changes, 2, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_LIMIT);
    expect(store, "juliet@a.test", KIND(ROSTER), NULL, "roster:a=5 roster:c=4 ");
    store_close(&store);
}

static void on_queued(enum store_status status, uint64_t id, void *arg)
{
    (void)arg;
    assert_true(id > 0);
    answered(status);
}

/* Of a queue only whether there is anything in it. */
static void test_something_waits(void **state)
{
    struct store *store = open_store(*state);

    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "a", "1"), STORE_OK);
    expect(store, "juliet@a.test", KIND(ROSTER) | KIND(OFFLINE), NULL, "roster:a=1 ");
    for (int i = 0; i < 2; i++) {
        store_queue_add(store, mailbox, "juliet@a.test", STORE_OFFLINE, 1, "<message/>", 10, NULL, on_queued, NULL);
        assert_int_equal(wait_for(1), STORE_OK);
    }
    expect(store, "juliet@a.test", KIND(ROSTER) | KIND(OFFLINE), NULL, "roster:a=1 offline:= ");
    expect(store, "juliet@a.test", KIND(ROSTER), NULL, "roster:a=1 ");
    store_close(&store);
}

/* As big a roster as anybody has, in one batch, in order. */
static void test_many(void **state)
{
    struct store *store = open_store(*state);
    char key[32];

    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%03d", (i * 7) % 1000);
        const struct store_record change = {.kind = STORE_ROSTER, .key = key, .value = key};
        store_records_change(store, mailbox, "juliet@a.test", &change, 1, on_done, NULL);
    }
    assert_int_equal(wait_for(1000), STORE_OK);
    assert_int_equal(get(store, "juliet@a.test", ALL, NULL), STORE_OK);
    assert_int_equal(found_count, 1000);
    assert_memory_equal(found, "roster:000=000 roster:001=001 roster:002=002 ", 45);
    store_close(&store);
}

static void test_reopen(void **state)
{
    (void)state;
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(set(store, "juliet@a.test", STORE_ROSTER, "k", "v"), STORE_OK);
    assert_int_equal(set(store, "a.test", STORE_SETTING, "motd", "host"), STORE_OK);
    store_close(&store);
    store = open_store("sqlite");
    expect(store, "juliet@a.test", ALL, NULL, "roster:k=v ");
    expect(store, "a.test", ALL, NULL, "setting:motd=host ");
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH_ENGINE(test_set_and_get),     FOR_EACH_ENGINE(test_owners), FOR_EACH_ENGINE(test_several),
        FOR_EACH_ENGINE(test_something_waits), FOR_EACH_ENGINE(test_many),   FOR_SQLITE(test_reopen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
