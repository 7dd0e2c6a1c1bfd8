#include "store_fixture.h"

#include "backend/store/store_engine.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

/* What the last answer was: the ids as "1 2 3", then "+" when there is more, "!" when something is missing, and "=n".
 */
static char found[65536];
static struct store_archived first; /* but for its texts */
static char first_text[16384], first_with[256];
static uint64_t last;

static void on_page(enum store_status status, const struct store_archive_page *page, void *arg)
{
    size_t used = 0;

    (void)arg;
    found[0] = '\0';
    assert_int_equal(page != NULL, status == STORE_OK);
    for (size_t i = 0; page && i < page->count; i++) {
        const struct store_archived *entry = &page->entries[i];
        if (entry->text) assert_int_equal(entry->len, strlen(entry->text));
        used +=
            (size_t)snprintf(found + used, sizeof found - used, "%s%llu", i ? " " : "", (unsigned long long)entry->id);
        if (i > 0) continue;
        first = *entry;
        snprintf(first_text, sizeof first_text, "%s", entry->text ? entry->text : "(none)");
        snprintf(first_with, sizeof first_with, "%s/%s", entry->with_bare, entry->with_resource);
    }
    if (page && page->more) used += (size_t)snprintf(found + used, sizeof found - used, "+");
    if (page && page->missing) used += (size_t)snprintf(found + used, sizeof found - used, "!");
    if (page && page->total) snprintf(found + used, sizeof found - used, "=%llu", (unsigned long long)page->total);
    answered(status);
}

static void on_last(enum store_status status, uint64_t id, void *arg)
{
    (void)arg;
    last = id;
    answered(status);
}

static void post(struct store *store, const char *owner, uint64_t id, const char *bare, const char *resource)
{
    const char *text = "<message>\xc3\xa4</message>";
    const struct store_archived entry = {.id = id,
                                         .stamp_ms = (int64_t)(id / 1000),
                                         .with_bare = bare,
                                         .with_resource = resource,
                                         .text = text,
                                         .len = strlen(text)};
    store_archive_add(store, mailbox, owner, &entry, on_done, NULL);
}

static enum store_status put(struct store *store, const char *owner, uint64_t id, const char *bare,
                             const char *resource)
{
    post(store, owner, id, bare, resource);
    return wait_for(1);
}

static enum store_status get(struct store *store, const char *owner, struct store_archive_query query)
{
    store_archive_get(store, mailbox, owner, &query, on_page, NULL);
    return wait_for(1);
}

/* Of juliet, for which a query is written where it is used. */
#define EXPECT(wanted, ...)                                                                                            \
    do {                                                                                                               \
        assert_int_equal(get(store, "juliet@a.test", (struct store_archive_query){__VA_ARGS__}), STORE_OK);            \
        assert_string_equal(found, wanted);                                                                            \
    } while (0)

static struct store *open_with_two(const char *engine)
{
    struct store *store = open_store(engine);

    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(add(store, "romeo", "a.test", 1), STORE_OK);
    return store;
}

/* 10 … 90, with romeo at two of his clients, and a nurse. */
static struct store *open_with_nine(const char *engine)
{
    struct store *store = open_with_two(engine);

    for (uint64_t i = 1; i <= 9; i++)
        post(store, "juliet@a.test", i * 10, i % 3 ? "romeo@a.test" : "nurse@b.test", i % 2 ? "orchard" : "");
    post(store, "romeo@a.test", 45, "juliet@a.test", "");
    assert_int_equal(wait_for(10), STORE_OK);
    return store;
}

static void test_add_and_get(void **state)
{
    struct store *store = open_with_two(*state);
    char text[10000];
    const struct store_archived entry = {.id = 1700000000123456,
                                         .stamp_ms = 1600000000000, /* the clock was set back */
                                         .with_bare = "romeo@a.test",
                                         .with_resource = "orchard \xc3\xa4",
                                         .text = text,
                                         .len = sizeof text - 1};

    EXPECT("", .max = 10, .total = true);
    memset(text, 'l', sizeof text);
    text[sizeof text - 1] = '\0';
    store_archive_add(store, mailbox, "juliet@a.test", &entry, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    EXPECT("1700000000123456=1", .max = 10, .total = true);
    assert_int_equal(first.stamp_ms, 1600000000000);
    assert_int_equal(first.len, sizeof text - 1);
    assert_string_equal(first_text, text);
    assert_string_equal(first_with, "romeo@a.test/orchard \xc3\xa4");
    EXPECT("1700000000123456", .max = 10, .brief = true);
    assert_int_equal(first.len, sizeof text - 1);
    assert_string_equal(first_text, "(none)");
    assert_int_equal(put(store, "juliet@a.test", 1700000000123456, "x", ""), STORE_EXISTS);
    assert_int_equal(put(store, "juliet@a.test", 1700000000123455, "x", ""), STORE_EXISTS);
    assert_int_equal(put(store, "juliet@a.test", 1700000000123457, "x", ""), STORE_OK);
    EXPECT("1700000000123456 1700000000123457", .max = 10);
    EXPECT("1700000000123457", .max = 10, .from = 1700000000123457);
    assert_int_equal(first.stamp_ms, 1700000000123);
    store_close(&store);
}

static void test_owners(void **state)
{
    struct store *store = open_with_two(*state);

    assert_int_equal(put(store, "nobody@a.test", 1, "x", ""), STORE_NOT_FOUND);
    assert_int_equal(put(store, "a.test", 1, "x", ""), STORE_NOT_FOUND);
    assert_int_equal(get(store, "nobody@a.test", (struct store_archive_query){.max = 1}), STORE_NOT_FOUND);
    assert_int_equal(put(store, "juliet@a.test", 7, "x", ""), STORE_OK);
    assert_int_equal(put(store, "romeo@a.test", 7, "x", ""), STORE_OK);
    assert_int_equal(put(store, "romeo@a.test", 9, "x", ""), STORE_OK);
    store_archive_last(store, mailbox, "juliet@a.test", on_last, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(last, 7);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    store_archive_last(store, mailbox, "juliet@a.test", on_last, NULL);
    assert_int_equal(wait_for(1), STORE_NOT_FOUND);
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    store_archive_last(store, mailbox, "juliet@a.test", on_last, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(last, 0);
    EXPECT("", .max = 10, .total = true);
    assert_int_equal(get(store, "romeo@a.test", (struct store_archive_query){.max = 9}), STORE_OK);
    assert_string_equal(found, "7 9");
    store_close(&store);
}

static void test_pages(void **state)
{
    struct store *store = open_with_nine(*state);

    EXPECT("10 20 30 40 50 60 70 80 90", .max = 9);
    EXPECT("10 20 30 40+", .max = 4);
    EXPECT("60 70 80 90+", .max = 4, .backwards = true);
    EXPECT("10 20 30 40 50 60 70 80 90=9", .max = 9, .backwards = true, .total = true);
    EXPECT("50 60+=9", .max = 2, .page_after = 40, .total = true);
    EXPECT("80 90", .max = 2, .page_after = 70);
    EXPECT("20 30+=9", .max = 2, .page_before = 40, .backwards = true, .total = true);
    EXPECT("10 20=9", .max = 2, .page_before = 30, .backwards = true, .total = true);
    EXPECT("+=9", .total = true);
    EXPECT("", .max = 2, .page_after = 90);
    EXPECT("10 20+!", .max = 2, .page_before = 35);
    EXPECT("80 90!=9", .max = 2, .page_after = 75, .total = true);
    EXPECT("!", .max = 2, .page_after = UINT64_MAX);
    EXPECT("!", .max = 2, .page_before = 1, .backwards = true);
    store_close(&store);
}

static void test_filters(void **state)
{
    struct store *store = open_with_nine(*state);

    EXPECT("30 60 90=3", .max = 9, .with_bare = "nurse@b.test", .total = true);
    EXPECT("60 90+=3", .max = 2, .with_bare = "nurse@b.test", .total = true, .backwards = true);
    EXPECT("10 50 70", .max = 9, .with_bare = "romeo@a.test", .with_resource = "orchard");
    EXPECT("20 40 80", .max = 9, .with_bare = "romeo@a.test", .with_resource = "");
    EXPECT("", .max = 9, .with_bare = "romeo@a.tes", .total = true);
    EXPECT("30 40 50=3", .max = 9, .from = 30, .to = 50, .total = true);
    EXPECT("40 50=2", .max = 9, .from = 31, .to = 59, .total = true);
    EXPECT("", .max = 9, .from = 60, .to = 50, .total = true);
    EXPECT("40 50=2", .max = 9, .after = 30, .before = 60, .total = true);
    EXPECT("40 50!=2", .max = 9, .after = 31, .before = 60, .total = true);
    EXPECT("50=2", .max = 9, .after = 30, .before = 60, .page_after = 40, .total = true);
    EXPECT("50", .max = 9, .after = 30, .before = 60, .page_after = 40);
    EXPECT("40=2", .max = 1, .after = 30, .to = 50, .page_before = 50, .backwards = true, .total = true);
    store_close(&store);
}

static void test_ids(void **state)
{
    struct store *store = open_with_nine(*state);
    const uint64_t three[] = {90, 20, 40, 20}, some[] = {20, 45, 90};

    EXPECT("20 40 90=3", .max = 9, .ids = three, .id_count = 4, .total = true);
    EXPECT("40 90+", .max = 2, .ids = three, .id_count = 4, .backwards = true);
    EXPECT("20 40", .max = 9, .ids = three, .id_count = 4, .with_resource = "");
    EXPECT("40", .max = 9, .ids = three, .id_count = 4, .from = 30, .to = 80);
    EXPECT("90=3", .max = 9, .ids = three, .id_count = 4, .page_after = 40, .total = true);
    EXPECT("20 90!", .max = 9, .ids = some, .id_count = 3);
    EXPECT("", .max = 9, .ids = some, .id_count = 0, .total = true);
    store_close(&store);
}

/* More than is looked at in one step, with what others ask for in between. */
static void test_steps(void **state)
{
    enum { COUNT = 9000 };
    struct store *store = open_with_two(*state);
    char wanted[64];

    for (uint64_t i = 1; i <= COUNT; i++)
        post(store, "juliet@a.test", i, i == 3 || i == 8999 ? "nurse@b.test" : "romeo@a.test", "");
    assert_int_equal(wait_for(COUNT), STORE_OK);
    snprintf(wanted, sizeof wanted, "3 8999=2");
    EXPECT(wanted, .max = 9, .with_bare = "nurse@b.test", .total = true);
    EXPECT(wanted, .max = 9, .with_bare = "nurse@b.test", .total = true, .backwards = true);
    EXPECT("3 8999", .max = 2, .with_bare = "nurse@b.test");
    EXPECT("8999+", .max = 1, .with_bare = "nurse@b.test", .backwards = true);
    EXPECT("1 2+=9000", .max = 2, .total = true);
    store_close(&store);
}

static int answers_before_short;

static void on_short(enum store_status status, const struct store_archive_page *page, void *arg)
{
    answers_before_short = got.count;
    on_page(status, page, arg);
}

/* Asked for behind a hundred long ones, the short answer does not wait for them. */
static void test_a_long_one_holds_nobody_up(void **state)
{
    enum { COUNT = 9000, LONG_ONES = 100 };
    const struct store_archive_query all = {.max = 1, .total = true}, one = {.max = 1};

    (void)state;
    struct store *store = open_with_two("sqlite");
    for (uint64_t i = 1; i <= COUNT; i++)
        post(store, "juliet@a.test", i, "romeo@a.test", "");
    assert_int_equal(wait_for(COUNT), STORE_OK);
    for (int i = 0; i < LONG_ONES; i++)
        store_archive_get(store, mailbox, "juliet@a.test", &all, on_page, NULL);
    store_archive_get(store, mailbox, "romeo@a.test", &one, on_short, NULL);
    assert_int_equal(wait_for(LONG_ONES + 1), STORE_OK);
    assert_in_range(answers_before_short, 0, LONG_ONES - 1);
    assert_string_equal(found, "1+=9000");
    store_close(&store);
}

static struct store_archive_purged purged;
static struct store_archive_size size;

static void on_purged(enum store_status status, const struct store_archive_purged *all, void *arg)
{
    (void)arg;
    assert_int_equal(all != NULL, status == STORE_OK);
    if (all) purged = *all;
    answered(status);
}

static void on_size(enum store_status status, const struct store_archive_size *all, void *arg)
{
    (void)arg;
    assert_int_equal(all != NULL, status == STORE_OK);
    if (all) size = *all;
    answered(status);
}

static enum store_status trim(struct store *store, const char *owner, struct store_archive_keep keep)
{
    store_archive_trim(store, mailbox, owner, &keep, on_purged, NULL);
    return wait_for(1);
}

/* Each entry has 21 bytes. */
static void expect_size(struct store *store, uint64_t entries, uint64_t oldest, uint64_t newest)
{
    store_archive_size(store, mailbox, "juliet@a.test", on_size, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(size.entries, entries);
    assert_int_equal(size.bytes, entries * 21);
    assert_int_equal(size.first, oldest);
    assert_int_equal(size.last, newest);
}

/* again - what was in the log is in the table. */
static struct store *again(struct store *store, const char *engine)
{
    if (strcmp(engine, "memory") == 0) return store;
    store_close(&store);
    return open_store(engine);
}

static void test_trim(void **state)
{
    struct store *store = open_with_nine(*state);

    for (int i = 0; i < 2; i++) {
        expect_size(store, 9 - (uint64_t)i * 6, i ? 70 : 10, 90);
        assert_int_equal(trim(store, "juliet@a.test", (struct store_archive_keep){.from = 10}), STORE_OK);
        assert_int_equal(purged.entries, 0);
        assert_int_equal(purged.first, i ? 70 : 10);
        if (i == 0) store = again(store, *state);
        if (i == 1) continue;
        assert_int_equal(trim(store, "juliet@a.test", (struct store_archive_keep){.from = 21}), STORE_OK);
        assert_int_equal(purged.entries, 2);
        assert_int_equal(purged.bytes, 42);
        assert_int_equal(purged.first, 30);
        assert_int_equal(trim(store, "a.test", (struct store_archive_keep){.entries = 5}), STORE_OK);
        assert_int_equal(purged.entries, 2);
        assert_int_equal(purged.first, 45); /* romeo's */
        EXPECT("50 60 70 80 90=5", .max = 9, .total = true);
        assert_int_equal(trim(store, "a.test", (struct store_archive_keep){.bytes = 79}), STORE_OK);
        assert_int_equal(purged.entries, 2);
        EXPECT("70 80 90", .max = 9);
    }
    store = again(store, *state);
    EXPECT("70 80 90", .max = 9);
    assert_int_equal(put(store, "juliet@a.test", 100, "x", ""), STORE_OK);
    assert_int_equal(trim(store, "juliet@a.test", (struct store_archive_keep){.from = UINT64_MAX}), STORE_OK);
    assert_int_equal(purged.entries, 4);
    assert_int_equal(purged.first, 0);
    expect_size(store, 0, 0, 0);
    assert_int_equal(trim(store, "nobody@a.test", (struct store_archive_keep){.from = 1}), STORE_NOT_FOUND);
    assert_int_equal(trim(store, "nowhere.test", (struct store_archive_keep){.from = 1}), STORE_OK);
    store = again(store, *state);
    EXPECT("", .max = 9);
    store_close(&store);
}

/* More than one step takes, partly in the log; what was trimmed does not come back. */
static void test_trim_much(void **state)
{
    enum { COUNT = 9000 };
    struct store *store = open_with_two(*state);

    for (uint64_t i = 1; i <= COUNT; i++) {
        post(store, "juliet@a.test", i, "romeo@a.test", "");
        post(store, "romeo@a.test", i, "juliet@a.test", "");
    }
    assert_int_equal(wait_for(2 * COUNT), STORE_OK);
    expect_size(store, COUNT, 1, COUNT);
    assert_int_equal(trim(store, "a.test", (struct store_archive_keep){.entries = 10}), STORE_OK);
    assert_int_equal(purged.entries, 2 * (COUNT - 10));
    assert_int_equal(purged.first, COUNT - 9);
    expect_size(store, 10, COUNT - 9, COUNT);
    EXPECT("8991 8992+=10", .max = 2, .total = true);
    store = again(store, *state);
    expect_size(store, 10, COUNT - 9, COUNT);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    expect_size(store, 0, 0, 0);
    store_close(&store);
}

static int64_t query_number(const char *sql)
{
    char path[192];
    sqlite3 *db;
    sqlite3_stmt *st;

    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const int64_t number = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return number;
}

/* A deleted account's messages leave the disk, also when the server is stopped before all of them have. */
static void test_gone(void **state)
{
    enum { COUNT = 5000 };

    (void)state;
    struct store *store = open_with_two("sqlite");
    for (uint64_t i = 1; i <= COUNT; i++)
        post(store, "juliet@a.test", i, "romeo@a.test", "");
    post(store, "romeo@a.test", 1, "juliet@a.test", "");
    assert_int_equal(wait_for(COUNT + 1), STORE_OK);
    store = again(store, "sqlite");
    assert_int_equal(query_number("SELECT count(*) FROM archive"), COUNT + 1);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    store = again(store, "sqlite");
    for (int i = 0; i < 30000 && query_number("SELECT count(*) FROM archive_gone"); i++)
        usleep(2000);
    assert_int_equal(query_number("SELECT count(*) FROM archive_gone"), 0);
    assert_int_equal(query_number("SELECT count(*) FROM archive"), 1);
    assert_int_equal(query_number("SELECT count(*) FROM archive_size"), 1);
    store_close(&store);
}

/* A crash leaves the log: what it has is read again, in parts, as often as it happens. */
static void test_log_is_read_again(void **state)
{
    char command[512];

    (void)state;
    struct store *store = open_with_nine("sqlite");
    assert_int_equal(trim(store, "juliet@a.test", (struct store_archive_keep){.entries = 3}), STORE_OK);
    snprintf(command, sizeof command, "mkdir '%s/copy' && cp '%s'/postern.* '%s/copy'", folder, folder, folder);
    assert_int_equal(system(command), 0);
    store_close(&store);
    snprintf(command, sizeof command, "mv '%s'/copy/* '%s'", folder, folder);
    assert_int_equal(system(command), 0);
    assert_true(query_number("SELECT count(*) FROM archive_log") > 0);
    assert_int_equal(query_number("SELECT count(*) FROM archive"), 0);
    store = open_store("sqlite");
    EXPECT("70 80 90=3", .max = 9, .total = true);
    assert_int_equal(put(store, "juliet@a.test", 90, "x", ""), STORE_EXISTS);
    assert_int_equal(put(store, "juliet@a.test", 91, "x", ""), STORE_OK);
    EXPECT("80 90 91+", .max = 3, .backwards = true);
    store_close(&store);
    assert_int_equal(query_number("SELECT count(*) FROM archive_log"), 0);
}

static void post_long(struct store *store, const char *owner, uint64_t id)
{
    static char text[10000];
    const struct store_archived entry = {
        .id = id, .with_bare = "x", .with_resource = "", .text = text, .len = sizeof text};

    memset(text, 'l', sizeof text);
    store_archive_add(store, mailbox, owner, &entry, on_done, NULL);
}

/* The log stays small while messages come: they are moved, the oldest first, and nobody who reads notices. */
static void test_log_is_cleared(void **state)
{
    enum { COUNT = 800, MIB = 1024 * 1024 };

    (void)state;
    struct store *store = open_with_two("sqlite");
    post(store, "romeo@a.test", 1, "x", ""); /* the first to be moved: nothing else of romeo's comes */
    assert_int_equal(wait_for(1), STORE_OK);
    for (uint64_t i = 1; i <= COUNT; i++) {
        post_long(store, "juliet@a.test", i);
        if (i % 10 == 0) assert_int_equal(wait_for(10), STORE_OK);
    }
    assert_in_range(query_number("SELECT sum(length(data)) FROM archive_log"), 1, 5 * MIB);
    assert_in_range(query_number("SELECT count(*) FROM archive"), COUNT / 3, COUNT);
    assert_int_equal(query_number("SELECT count(*) FROM archive WHERE id = 1 AND length(text) < 100"), 1);
    assert_int_equal(query_number("SELECT sum(entries) - (SELECT count(*) FROM archive) FROM archive_size"), 0);
    EXPECT("1 2+=800", .max = 2, .total = true);
    EXPECT("799 800+=800", .max = 2, .total = true, .backwards = true);
    store_archive_size(store, mailbox, "juliet@a.test", on_size, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(size.bytes, COUNT * 10000);
    store_close(&store);
}

static int refused;

static void on_refused(enum store_status status, void *arg)
{
    (void)arg;
    refused += status == STORE_FULL;
    answered(status);
}

/* Without room nothing is archived, what was there is read as before, and afterwards it goes on. */
static void test_full(void **state)
{
    struct rlimit old, small = {.rlim_cur = 8 * 1024};
    const struct store_archived entry = {.id = 100, .with_bare = "x", .with_resource = "", .text = "t", .len = 1};

    (void)state;
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct store *store = open_with_nine("sqlite");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    refused = 0;
    for (int i = 0; i < 20; i++) {
        store_archive_add(store, mailbox, "juliet@a.test", &entry, on_refused, NULL);
        wait_for(1);
    }
    EXPECT("80 90+", .max = 2, .backwards = true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, old_handler);
    assert_int_equal(refused, 20);
    EXPECT("10 20 30 40 50 60 70 80 90=9", .max = 9, .total = true);
    assert_int_equal(put(store, "juliet@a.test", 100, "x", ""), STORE_OK);
    store_close(&store);
    store = open_store("sqlite");
    EXPECT("90 100+=10", .max = 2, .backwards = true, .total = true);
    store_close(&store);
}

/* Whoever watches is told once, of the first that comes. */
static void on_watched(void *arg)
{
    ++*(int *)arg;
}

static void test_watch(void **state)
{
    int told = 0;
    struct store *store = open_with_two(*state);

    assert_int_equal(put(store, "juliet@a.test", 1, "x", ""), STORE_OK);
    store_archive_watch(store, mailbox, on_watched, &told);
    assert_int_equal(told, 0);
    assert_int_equal(put(store, "juliet@a.test", 2, "x", ""), STORE_OK);
    assert_int_equal(put(store, "juliet@a.test", 3, "x", ""), STORE_OK);
    assert_int_equal(told, 1);
    store_close(&store);
}

static void test_restart(void **state)
{
    (void)state;
    struct store *store = open_with_nine("sqlite");

    store_close(&store);
    store = open_store("sqlite");
    EXPECT("10 20 30 40 50 60 70 80 90", .max = 9);
    store_close(&store);
}

/* What somebody else wrote into the database fails that archive, and nothing more. */
static void test_tampered(void **state)
{
    char path[192];
    sqlite3 *db;

    (void)state;
    struct store *store = open_with_nine("sqlite");
    store_close(&store);
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE archive SET text = 'a' || char(0) || 'b' WHERE id = 20;"
                                  "UPDATE archive SET with_bare = 'a' || char(0) WHERE id = 50;",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    store = open_store("sqlite");
    EXPECT("80 90+", .max = 2, .backwards = true);
    assert_int_equal(get(store, "juliet@a.test", (struct store_archive_query){.max = 1, .from = 20}), STORE_FAILED);
    assert_int_equal(get(store, "juliet@a.test", (struct store_archive_query){.max = 1, .from = 50}), STORE_FAILED);
    assert_int_equal(get(store, "romeo@a.test", (struct store_archive_query){.max = 2}), STORE_OK);
    assert_string_equal(found, "45");
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH_ENGINE(test_add_and_get),
        FOR_EACH_ENGINE(test_owners),
        FOR_EACH_ENGINE(test_pages),
        FOR_EACH_ENGINE(test_filters),
        FOR_EACH_ENGINE(test_ids),
        FOR_EACH_ENGINE(test_steps),
        FOR_SQLITE(test_a_long_one_holds_nobody_up),
        FOR_EACH_ENGINE(test_trim),
        FOR_EACH_ENGINE(test_trim_much),
        FOR_SQLITE(test_gone),
        FOR_SQLITE(test_log_is_read_again),
        FOR_SQLITE(test_log_is_cleared),
        FOR_SQLITE(test_full),
        FOR_EACH_ENGINE(test_watch),
        FOR_SQLITE(test_restart),
        FOR_SQLITE(test_tampered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
