#include "backend/store.h"

#include "tests/unit/backend/store_fixture.h"

#include <sqlite3.h>
#include <sys/stat.h>

/* What was found, as "text " each; the numbers beside it. */
static char found[4096];
static size_t found_count;
static struct store_entry entries[64];
static uint64_t added;

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    (void)arg;
    assert_int_equal(id != 0, status == STORE_OK);
    if (id) {
        assert_true(id > added);
        added = id;
    }
    answered(status);
}

static void on_entries(enum store_status status, const struct store_entry *items, size_t count, void *arg)
{
    size_t used = 0;

    (void)arg;
    found[0] = '\0';
    found_count = count;
    for (size_t i = 0; i < count && i < ARRAY_LEN(entries); i++) {
        entries[i] = items[i];
        assert_int_equal(items[i].len, strlen(items[i].text));
        used += (size_t)snprintf(found + used, sizeof found - used, "%s ", items[i].text);
    }
    answered(status);
}

static enum store_status push(struct store *store, const char *owner, const char *text, size_t limit)
{
    const struct store_limit at_most = {limit, 0};
    store_queue_add(store, mailbox, owner, STORE_OFFLINE, 1700000000123, text, strlen(text), &at_most, on_added, NULL);
    return wait_for(1);
}

static enum store_status push_bytes(struct store *store, const char *owner, const char *text, uint64_t bytes)
{
    const struct store_limit limit = {10, bytes};
    store_queue_add(store, mailbox, owner, STORE_OFFLINE, 1, text, strlen(text), &limit, on_added, NULL);
    return wait_for(1);
}

static void expect_from(struct store *store, const char *owner, uint64_t after, size_t max, const char *wanted)
{
    store_queue_get(store, mailbox, owner, STORE_OFFLINE, after, max, on_entries, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_string_equal(found, wanted);
}

static void expect(struct store *store, const char *owner, const char *wanted)
{
    expect_from(store, owner, 0, 100, wanted);
}

static enum store_status take(struct store *store, const char *owner, const uint64_t *ids, size_t count, uint64_t last)
{
    store_queue_del(store, mailbox, owner, STORE_OFFLINE, ids, count, last, on_done, NULL);
    return wait_for(1);
}

static struct store *open_with_two(const char *engine)
{
    struct store *store = open_store(engine);

    added = 0;
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(add(store, "romeo", "a.test", 1), STORE_OK);
    return store;
}

static void test_in_order(void **state)
{
    struct store *store = open_with_two(*state);

    expect(store, "juliet@a.test", "");
    assert_int_equal(push(store, "juliet@a.test", "a", 0), STORE_OK);
    assert_int_equal(push(store, "romeo@a.test", "x", 0), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "<b>\xc3\xa4</b>", 0), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "c", 0), STORE_OK);
    expect(store, "juliet@a.test", "a <b>\xc3\xa4</b> c ");
    assert_true(entries[0].id < entries[1].id && entries[1].id < entries[2].id);
    assert_int_equal(entries[2].id, added);
    assert_int_equal(entries[0].stamp_ms, 1700000000123);
    expect(store, "romeo@a.test", "x ");
    expect(store, "juliet@a.test", "a <b>\xc3\xa4</b> c ");
    expect_from(store, "juliet@a.test", 0, 2, "a <b>\xc3\xa4</b> ");
    expect_from(store, "juliet@a.test", entries[1].id, 2, "c ");
    expect_from(store, "juliet@a.test", UINT64_MAX, 2, "");
    expect_from(store, "juliet@a.test", 0, SIZE_MAX, "a <b>\xc3\xa4</b> c ");
    expect_from(store, "juliet@a.test", 0, 0, "");
    store_close(&store);
}

/* Of the texts in UTF-8, whether the engine has counted already, by what was added and taken out, or counts now. */
static void test_limit_of_bytes(void **state)
{
    struct store *store = open_with_two(*state);

    assert_int_equal(push(store, "juliet@a.test", "\xc3\xa4\xc3\xa4", 0), STORE_OK);
    const uint64_t first = added;
    assert_int_equal(push_bytes(store, "juliet@a.test", "abc", 6), STORE_LIMIT);
    assert_int_equal(push_bytes(store, "juliet@a.test", "abc", 7), STORE_OK);
    assert_int_equal(push_bytes(store, "juliet@a.test", "d", 7), STORE_LIMIT);
    assert_int_equal(push_bytes(store, "juliet@a.test", "d", 3), STORE_LIMIT);
    assert_int_equal(push_bytes(store, "juliet@a.test", "", 7), STORE_OK);
    assert_int_equal(push_bytes(store, "romeo@a.test", "12345678", 7), STORE_LIMIT);
    assert_int_equal(push_bytes(store, "romeo@a.test", "1234567", 7), STORE_OK);
    assert_int_equal(take(store, "juliet@a.test", &first, 1, 0), STORE_OK);
    assert_int_equal(push_bytes(store, "juliet@a.test", "12345", 7), STORE_LIMIT);
    assert_int_equal(push_bytes(store, "juliet@a.test", "1234", 7), STORE_OK);
    assert_int_equal(take(store, "juliet@a.test", NULL, 0, added), STORE_OK);
    assert_int_equal(push_bytes(store, "juliet@a.test", "1234567", 7), STORE_OK);
    expect(store, "juliet@a.test", "1234567 ");
    store_close(&store);
}

static void test_limit(void **state)
{
    struct store *store = open_with_two(*state);

    for (int i = 0; i < 3; i++)
        assert_int_equal(push(store, "juliet@a.test", "a", 3), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "b", 3), STORE_LIMIT);
    assert_int_equal(push(store, "juliet@a.test", "b", 2), STORE_LIMIT);
    assert_int_equal(push(store, "romeo@a.test", "b", 1), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "c", 4), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "d", 0), STORE_OK);
    expect(store, "juliet@a.test", "a a a c d ");
    assert_int_equal(take(store, "juliet@a.test", NULL, 0, UINT64_MAX), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "e", 1), STORE_OK);
    expect(store, "juliet@a.test", "e ");
    store_close(&store);
}

static void test_taking_out(void **state)
{
    struct store *store = open_with_two(*state);
    uint64_t ids[3];

    for (int i = 0; i < 5; i++) {
        const char text[] = {(char)('a' + i), '\0'};
        assert_int_equal(push(store, "juliet@a.test", text, 0), STORE_OK);
        if (i == 1) ids[0] = added;
        if (i == 3) ids[1] = added;
    }
    assert_int_equal(push(store, "romeo@a.test", "x", 0), STORE_OK);
    ids[2] = added;
    /* Of the own queue only; what is not there is no fault. */
    assert_int_equal(take(store, "juliet@a.test", ids, 3, 0), STORE_OK);
    expect(store, "juliet@a.test", "a c e ");
    expect(store, "romeo@a.test", "x ");
    assert_int_equal(take(store, "juliet@a.test", ids, 0, UINT64_MAX), STORE_OK);
    expect(store, "juliet@a.test", "a c e ");
    assert_int_equal(take(store, "juliet@a.test", NULL, 0, entries[1].id), STORE_OK);
    expect(store, "juliet@a.test", "e ");
    assert_int_equal(take(store, "juliet@a.test", NULL, 0, UINT64_MAX), STORE_OK);
    expect(store, "juliet@a.test", "");
    expect(store, "romeo@a.test", "x ");
    store_close(&store);
}

/* An id that was the highest is not used again, whatever becomes of its entry. */
static void test_ids_are_never_used_again(void **state)
{
    struct store *store = open_with_two(*state);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(push(store, "juliet@a.test", "a", 0), STORE_OK); /* on_added checks the id */
        assert_int_equal(take(store, "juliet@a.test", &added, 1, 0), STORE_OK);
        if (strcmp(*state, "sqlite") != 0) continue;
        store_close(&store);
        store = open_store(*state);
    }
    assert_int_equal(push(store, "juliet@a.test", "a", 0), STORE_OK);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    assert_int_equal(push(store, "romeo@a.test", "a", 0), STORE_OK);
    store_close(&store);
}

static void test_owners(void **state)
{
    struct store *store = open_with_two(*state);

    assert_int_equal(push(store, "nobody@a.test", "a", 0), STORE_NOT_FOUND);
    assert_int_equal(take(store, "nobody@a.test", NULL, 0, 1), STORE_NOT_FOUND);
    store_queue_get(store, mailbox, "nobody@a.test", STORE_OFFLINE, 0, 1, on_entries, NULL);
    assert_int_equal(wait_for(1), STORE_NOT_FOUND);
    expect(store, "a.test", "");
    assert_int_equal(take(store, "a.test", NULL, 0, 1), STORE_OK);
    assert_int_equal(push(store, "a.test", "host", 0), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "a", 0), STORE_OK);
    assert_int_equal(push(store, "romeo@a.test", "x", 0), STORE_OK);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    assert_int_equal(push(store, "juliet@a.test", "b", 0), STORE_NOT_FOUND);
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    expect(store, "juliet@a.test", "");
    expect(store, "romeo@a.test", "x ");
    expect(store, "a.test", "host ");
    store_close(&store);
}

/* What was listed, as "owner count bytes oldest; " each, sorted by the engine or not. */
static void on_remotes(enum store_status status, const struct store_remote *remotes, size_t count, void *arg)
{
    size_t used = 0;

    (void)arg;
    found[0] = '\0';
    found_count = count;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(found + used, sizeof found - used, "%s %d %d %d; ", remotes[i].owner,
                                 (int)remotes[i].count, (int)remotes[i].bytes, (int)remotes[i].oldest_ms);
    answered(status);
}

static void list_remotes(struct store *store, size_t wanted)
{
    store_remote_list(store, mailbox, on_remotes, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(found_count, wanted);
}

static void push_remote(struct store *store, const char *owner, int64_t stamp_ms, const char *text)
{
    store_queue_add(store, mailbox, owner, STORE_REMOTE, stamp_ms, text, strlen(text), NULL, on_added, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
}

/* What waits for other servers is found at the start, also after a restart; what waits for users is not among it. */
static void test_remotes(void **state)
{
    struct store *store = open_with_two(*state);

    list_remotes(store, 0);
    push_remote(store, "far.test a.test", 7, "12345");
    const uint64_t first = added;
    push_remote(store, "far.test a.test", 9, "\xc3\xa4");
    push_remote(store, "away.test a.test", 5, "1");
    assert_int_equal(push(store, "juliet@a.test", "a", 0), STORE_OK);
    assert_int_equal(push(store, "far.test a.test", "a", 0), STORE_OK); /* of another kind */
    if (strcmp(*state, "sqlite") == 0) {
        store_close(&store);
        store = open_store(*state);
    }
    list_remotes(store, 2);
    assert_non_null(strstr(found, "far.test a.test 2 7 7; "));
    assert_non_null(strstr(found, "away.test a.test 1 1 5; "));
    store_queue_del(store, mailbox, "far.test a.test", STORE_REMOTE, &first, 1, 0, on_done, NULL);
    store_queue_del(store, mailbox, "away.test a.test", STORE_REMOTE, NULL, 0, UINT64_MAX, on_done, NULL);
    assert_int_equal(wait_for(2), STORE_OK);
    list_remotes(store, 1);
    assert_string_equal(found, "far.test a.test 1 2 9; ");
    store_close(&store);
}

/* Posted together, they are kept together, and in order; what is long stays whole. */
static void test_many(void **state)
{
    struct store *store = open_with_two(*state);
    char text[20000];

    for (int i = 0; i < 600; i++) {
        snprintf(text, sizeof text, "%03d", i);
        store_queue_add(store, mailbox, "juliet@a.test", STORE_OFFLINE, i, text, strlen(text), NULL, on_added, NULL);
    }
    memset(text, 'l', sizeof text);
    store_queue_add(store, mailbox, "romeo@a.test", STORE_OFFLINE, -1, text, sizeof text, NULL, on_added, NULL);
    store_queue_get(store, mailbox, "juliet@a.test", STORE_OFFLINE, 0, SIZE_MAX, on_entries, NULL);
    assert_int_equal(wait_for(602), STORE_OK);
    assert_int_equal(found_count, 600);
    assert_memory_equal(found, "000 001 002 003 ", 16);
    store_queue_get(store, mailbox, "romeo@a.test", STORE_OFFLINE, 0, 1, on_entries, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(entries[0].len, sizeof text);
    assert_int_equal(entries[0].stamp_ms, -1);
    store_close(&store);
}

/* What somebody else wrote into the database fails that queue, and nothing more. */
static void test_tampered(void **state)
{
    char path[192];
    sqlite3 *db;

    (void)state;
    struct store *store = open_with_two("sqlite");
    assert_int_equal(push(store, "juliet@a.test", "a", 0), STORE_OK);
    assert_int_equal(push(store, "romeo@a.test", "x", 0), STORE_OK);
    store_close(&store);
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE queue SET text = 'a' || char(0) || 'b' WHERE text = 'a'", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    store = open_store("sqlite");
    store_queue_get(store, mailbox, "juliet@a.test", STORE_OFFLINE, 0, 1, on_entries, NULL);
    assert_int_equal(wait_for(1), STORE_FAILED);
    expect(store, "romeo@a.test", "x ");
    store_close(&store);
}

static off_t log_bytes(void)
{
    char path[192];
    struct stat st;

    snprintf(path, sizeof path, "%s/postern.sqlite-wal", folder);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* So many entries of 10 kB, some hundred for each commit. */
static void push_many(struct store *store, int count)
{
    static char text[10000];

    memset(text, 'l', sizeof text);
    for (int i = 0; i < count; i += 100) {
        for (int j = 0; j < 100; j++)
            store_queue_add(store, mailbox, "juliet@a.test", STORE_OFFLINE, 0, text, sizeof text, NULL, on_added, NULL);
        assert_int_equal(wait_for(100), STORE_OK);
    }
}

/* The write-ahead log is bounded, whatever is written; a reader elsewhere lets it grow only as long as it reads. */
static void test_log_is_bounded(void **state)
{
    enum { MIB = 1024 * 1024 };
    char path[192];
    sqlite3 *reader;

    (void)state;
    struct store *store = open_with_two("sqlite");
    push_many(store, 3000);
    assert_in_range(log_bytes(), 1, 10 * MIB);
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(sqlite3_open(path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM queue", NULL, NULL, NULL), SQLITE_OK);
    push_many(store, 3000);
    assert_in_range(log_bytes(), 25 * MIB, 60 * MIB);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    push_many(store, 1000);
    assert_in_range(log_bytes(), 1, 17 * MIB);
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH_ENGINE(test_in_order),
        FOR_EACH_ENGINE(test_limit),
        FOR_EACH_ENGINE(test_limit_of_bytes),
        FOR_EACH_ENGINE(test_taking_out),
        FOR_EACH_ENGINE(test_ids_are_never_used_again),
        FOR_EACH_ENGINE(test_owners),
        FOR_EACH_ENGINE(test_many),
        FOR_EACH_ENGINE(test_remotes),
        FOR_SQLITE(test_tampered),
        FOR_SQLITE(test_log_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
