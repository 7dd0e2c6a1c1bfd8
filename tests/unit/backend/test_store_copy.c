#include "backend/store.h"

#include "tests/unit/backend/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char why[512];
static uint64_t copied_bytes, highest_id;
static int added_after_copy;
static bool copy_is_done;

static void on_copied(enum store_status status, uint64_t bytes, const char *text, void *arg)
{
    (void)arg;
    copied_bytes = bytes;
    copy_is_done = true;
    snprintf(why, sizeof why, "%s", text);
    answered(status);
}

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    (void)arg;
    assert_int_equal(status, STORE_OK);
    highest_id = id;
    added_after_copy += copy_is_done;
    answered(status);
}

static int make_file(char *path, size_t cap)
{
    snprintf(path, cap, "%s/copy", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void push(struct store *store, int count)
{
    static char text[5000];

    memset(text, 'l', sizeof text);
    for (int i = 0; i < count; i++)
        store_queue_add(store, mailbox, "juliet@a.test", STORE_OFFLINE, 0, text, sizeof text, NULL, on_added, NULL);
}

static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return value;
}

/* While the copy is made, writes go on and are answered; it has all that was acknowledged before its end, and is whole.
 */
static void test_copy_under_load(void **state)
{
    char path[192];

    (void)state;
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    push(store, 3000);
    wait_for(3000);
    copy_is_done = false;
    added_after_copy = 0;
    store_copy(store, mailbox, make_file(path, sizeof path), on_copied, NULL);
    push(store, 2000);
    wait_for(2001);
    assert_string_equal(why, "");
    assert_true(copy_is_done);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, copied_bytes);
    assert_true(copied_bytes > 3000 * 5000);
    assert_int_equal(ask(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    const int64_t found = ask(path, "SELECT count(*) FROM queue");
    assert_in_range(found, 5000 - added_after_copy, 5000);
    assert_int_equal(ask(path, "SELECT max(id) FROM queue") - ask(path, "SELECT min(id) FROM queue"), found - 1);
    store_close(&store);
    assert_int_equal(highest_id, 5000);
}

/* A copy that has no room says so, and the store goes on; so does one that is given up at the end. */
static void test_failures(void **state)
{
    struct rlimit old, small = {.rlim_cur = 1024 * 1024};
    char path[192];

    (void)state;
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    push(store, 3000);
    wait_for(3000);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    store_copy(store, mailbox, make_file(path, sizeof path), on_copied, NULL);
    assert_int_equal(wait_for(1), STORE_FAILED);
    assert_non_null(strstr(why, "full"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, old_handler);

    snprintf(path, sizeof path, "%s/other", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    store_copy(store, mailbox, open(path, O_RDONLY | O_CLOEXEC), on_copied, NULL);
    assert_int_equal(wait_for(1), STORE_FAILED);
    assert_string_not_equal(why, "");

    push(store, 1);
    assert_int_equal(wait_for(1), STORE_OK);
    store_copy(store, mailbox, make_file(path, sizeof path), on_copied, NULL);
    store_close(&store);
    assert_int_equal(wait_for(1), STORE_FAILED);
    assert_string_equal(why, "the server stops");
}

static void test_engine_without(void **state)
{
    char path[192];

    (void)state;
    struct store *store = open_store("memory");
    store_copy(store, mailbox, make_file(path, sizeof path), on_copied, NULL);
    assert_int_equal(wait_for(1), STORE_FAILED);
    assert_string_equal(why, "the storage engine \"memory\" makes no copies");
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_SQLITE(test_copy_under_load),
        FOR_SQLITE(test_failures),
        FOR_SQLITE(test_engine_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
