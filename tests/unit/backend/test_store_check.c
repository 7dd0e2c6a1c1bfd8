#include "backend/store.h"

#include "tests/unit/backend/store_fixture.h"

#include <sqlite3.h>

static struct store_findings found;
static char texts[8192];

static void on_checked(enum store_status status, const struct store_findings *findings, void *arg)
{
    (void)arg;
    assert_int_equal(findings != NULL, status == STORE_OK);
    texts[0] = '\0';
    for (size_t i = 0; findings && i < findings->text_count; i++)
        snprintf(texts + strlen(texts), sizeof texts - strlen(texts), "%s\n", findings->texts[i]);
    if (findings) found = *findings;
    answered(status);
}

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    (void)arg;
    (void)id;
    answered(status);
}

static struct store *open_with_things(void)
{
    static const struct store_record records[] = {
        {STORE_ROSTER, "romeo@a.test", "<item jid='romeo@a.test'/>"},
        {STORE_SETTING, "plain", "no element"},
    };
    struct store *store = open_store("sqlite");

    (void)add(store, "juliet", "a.test", 1);
    (void)add(store, "romeo", "a.test", 1);
    store_records_change(store, mailbox, "juliet@a.test", records, 2, on_done, NULL);
    store_records_change(store, mailbox, "a.test", records, 2, on_done, NULL);
    store_queue_add(store, mailbox, "juliet@a.test", STORE_OFFLINE, 0, "<message/>", 10, NULL, on_added, NULL);
    assert_int_equal(wait_for(3), STORE_OK);
    return store;
}

static void check(struct store *store)
{
    store_check(store, mailbox, on_checked, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
}

static void test_nothing_is_wrong(void **state)
{
    (void)state;
    struct store *store = open_with_things();
    check(store);
    assert_string_equal(texts, "");
    assert_int_equal(found.faults, 0);
    assert_int_equal(found.accounts, 2);
    assert_int_equal(found.records, 4);
    assert_int_equal(found.entries, 1);
    store_close(&store);
}

static const struct {
    const char *sql, *says;
} FAULTS[] = {
    {"UPDATE account_scram SET salt = x'' WHERE local = 'juliet'",
     "juliet@a.test: the keys of this account are not readable\n"},
    {"DELETE FROM account WHERE local = 'juliet'", "juliet@a.test: things are kept for it, but it is no account\n"},
    {"DELETE FROM owner WHERE jid = 'romeo@a.test'", "romeo@a.test: an account for which nothing can be kept\n"},
    {"DELETE FROM owner WHERE jid = 'a.test'", "record, row : belongs to no owner\n"},
    {"UPDATE record SET kind = 'nosuch' WHERE key = 'plain'", "juliet@a.test: a record of no known kind\n"},
    {"UPDATE record SET value = '<item>' WHERE kind = 'roster'",
     "juliet@a.test: a record of the kind \"roster\" is not readable\n"},
    {"UPDATE record SET value = CAST(x'fffe' AS TEXT) WHERE key = 'plain'",
     "juliet@a.test: a record of the kind \"setting\" is not readable\n"},
    {"UPDATE queue SET text = '<message/><message/>'",
     "juliet@a.test: entry 1 of the kind \"offline\" is not readable\n"},
    {"UPDATE queue SET text = '<!DOCTYPE a><a/>'", "juliet@a.test: entry 1 of the kind \"offline\" is not readable\n"},
    {"UPDATE queue SET kind = 'nosuch'", "juliet@a.test: an entry of no known kind\n"},
    {"PRAGMA writable_schema=1; DELETE FROM sqlite_schema WHERE name = 'queue_owner'", "the file: "},
};

/* What somebody else did to the database is found, while the store serves what is whole. */
static void test_faults_are_found(void **state)
{
    char path[192];
    sqlite3 *db;

    (void)state;
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    for (size_t i = 0; i < ARRAY_LEN(FAULTS); i++) {
        struct store *store = open_with_things();
        store_close(&store);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, FAULTS[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        store = open_store("sqlite");
        check(store);
        if (!strstr(texts, FAULTS[i].says)) print_error("%s:\n%s", FAULTS[i].sql, texts);
        assert_non_null(strstr(texts, FAULTS[i].says));
        assert_true(found.faults > 0);
        store_close(&store);
        unlink(path);
    }
}

/* Only the first faults are told, all are counted. */
static void test_many_faults(void **state)
{
    char path[192], key[16];
    sqlite3 *db;

    (void)state;
    struct store *store = open_with_things();
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "%d", i);
        const struct store_record change = {STORE_PRIVATE, key, "<broken"};
        store_records_change(store, mailbox, "juliet@a.test", &change, 1, on_done, NULL);
    }
    wait_for(500);
    check(store);
    assert_int_equal(found.faults, 500);
    assert_int_equal(found.text_count, 100);
    /* A page that is nothing: SQLite's own check says so, and ours does not fall over it. */
    store_close(&store);
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_close(db);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, -2 * 4096, SEEK_END);
    for (int i = 0; i < 2 * 4096; i++)
        fputc(0x5a, file);
    fclose(file);
    store = open_store("sqlite");
    check(store);
    assert_true(found.faults > 0);
    assert_non_null(strstr(texts, "the file: "));
    store_close(&store);
}

/* The end of the store ends a check, and one at a time is enough. */
static void test_the_end(void **state)
{
    static char text[5000];

    (void)state;
    struct store *store = open_with_things();
    memset(text, 'l', sizeof text);
    for (int i = 0; i < 5000; i++)
        store_queue_add(store, mailbox, "juliet@a.test", STORE_OFFLINE, 0, text, sizeof text, NULL, on_added, NULL);
    wait_for(5000);
    store_check(store, mailbox, on_checked, NULL);
    store_check(store, mailbox, on_checked, NULL);
    got.wanted = 1;
    loop_run(loop); /* the second is refused at once; the first may be done by then as well */
    assert_true(got.status == STORE_EXISTS || got.count == 2);
    store_close(&store);
    wait_for(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_SQLITE(test_nothing_is_wrong),
        FOR_SQLITE(test_faults_are_found),
        FOR_SQLITE(test_many_faults),
        FOR_SQLITE(test_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
