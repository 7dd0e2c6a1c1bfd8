#include "backend/store.h"

#include "tests/unit/backend/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The account and the names that came last. */
static struct store_account got_account;
static char got_names[1024];

/* SQLite calls these instead of the C library's: a kill cannot show what only a power cut would lose. */
int fdatasync(int fd);
int fsync(int fd);

static atomic_uint syncs;

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

static void on_account(enum store_status status, const struct store_account *account, void *arg)
{
    (void)arg;
    assert_int_equal(account != NULL, status == STORE_OK);
    if (account) got_account = *account;
    answered(status);
}

static void on_names(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    (void)arg;
    got_names[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(got_names, jids[i]);
        strcat(got_names, " ");
    }
    answered(status);
}

static void assert_same_account(const struct store_account *a, const struct store_account *b)
{
    assert_string_equal(a->local, b->local);
    assert_string_equal(a->domain, b->domain);
    assert_memory_equal(a->keys, b->keys, sizeof a->keys);
}

static enum store_status get(struct store *store, const char *local, const char *domain)
{
    store_account_get(store, mailbox, local, domain, on_account, NULL);
    return wait_for(1);
}

static const char *list(struct store *store, const char *domain)
{
    store_account_list(store, mailbox, domain, on_names, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    return got_names;
}

/* The same for every engine; *state is its name. */
static void test_accounts(void **state)
{
    struct store *store = open_store(*state);
    struct store_account wanted = make_account("juliet", "a.test", 1);

    assert_string_equal(list(store, NULL), "");
    assert_int_equal(get(store, "juliet", "a.test"), STORE_NOT_FOUND);
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(add(store, "juliet", "a.test", 2), STORE_EXISTS);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_same_account(&got_account, &wanted);
    assert_int_equal(get(store, "Juliet", "a.test"), STORE_NOT_FOUND);
    assert_int_equal(get(store, "juliet", "b.test"), STORE_NOT_FOUND);

    assert_int_equal(add(store, "romeo", "a.test", 3), STORE_OK);
    assert_int_equal(add(store, "juliet", "b.test", 4), STORE_OK);
    assert_string_equal(list(store, NULL), "juliet@a.test juliet@b.test romeo@a.test ");
    assert_string_equal(list(store, "a.test"), "juliet@a.test romeo@a.test ");
    assert_string_equal(list(store, "c.test"), "");

    wanted = make_account("juliet", "a.test", 5);
    store_account_set_keys(store, mailbox, &wanted, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_same_account(&got_account, &wanted);
    wanted = make_account("nobody", "a.test", 5);
    store_account_set_keys(store, mailbox, &wanted, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_NOT_FOUND);
    assert_int_equal(get(store, "nobody", "a.test"), STORE_NOT_FOUND);

    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_NOT_FOUND);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_NOT_FOUND);
    assert_string_equal(list(store, NULL), "juliet@b.test romeo@a.test ");
    /* Nothing of the old account comes back with a new one of that name. */
    wanted = make_account("juliet", "a.test", 6);
    memset(&wanted.keys[STORE_HASH_SHA1], 0, sizeof wanted.keys[STORE_HASH_SHA1]);
    store_account_add(store, mailbox, &wanted, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_same_account(&got_account, &wanted);
    store_close(&store);
}

static void on_shapes(enum store_status status, const struct store_shape *shapes, size_t count, void *arg)
{
    char *out = arg;

    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char one[128];
        snprintf(one, sizeof one, "%llu: %u/%zu %u/%zu %u/%zu; ", (unsigned long long)shapes[i].accounts,
                 shapes[i].iterations[0], shapes[i].salt_len[0], shapes[i].iterations[1], shapes[i].salt_len[1],
                 shapes[i].iterations[2], shapes[i].salt_len[2]);
        strcat(out, one);
    }
    on_done(status, NULL);
}

static const char *shapes(struct store *store, const char *domain)
{
    static char text[1024];
    store_account_shapes(store, mailbox, domain, on_shapes, text);
    assert_int_equal(wait_for(1), STORE_OK);
    return text;
}

static void test_shapes(void **state)
{
    struct store *store = open_store(*state);
    struct store_account account = make_account("old", "a.test", 2);

    assert_string_equal(shapes(store, "a.test"), "");
    memset(&account.keys[STORE_HASH_SHA512], 0, sizeof account.keys[STORE_HASH_SHA512]);
    account.keys[STORE_HASH_SHA1].salt_len = 12;
    store_account_add(store, mailbox, &account, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    account = (struct store_account){.local = "none", .domain = "a.test"};
    store_account_add(store, mailbox, &account, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_string_equal(shapes(store, "a.test"), "1: 10002/12 10002/16 0/0; ");
    assert_int_equal(add(store, "new", "a.test", 5), STORE_OK);
    assert_int_equal(add(store, "newer", "a.test", 5), STORE_OK);
    assert_int_equal(add(store, "elsewhere", "b.test", 6), STORE_OK);
    assert_string_equal(shapes(store, "a.test"), "2: 10005/16 10005/16 10005/16; 1: 10002/12 10002/16 0/0; ");
    assert_string_equal(shapes(store, "b.test"), "1: 10006/16 10006/16 10006/16; ");
    store_close(&store);
}

static enum store_status add_keys(struct store *store, const struct store_account *account)
{
    store_account_add_keys(store, mailbox, account, on_done, NULL);
    return wait_for(1);
}

static void test_keys_are_added_to_those_that_are_there(void **state)
{
    struct store *store = open_store(*state);
    struct store_account old = make_account("juliet", "a.test", 1), more = old;
    const struct store_account other = make_account("juliet", "a.test", 2);

    old.keys[STORE_HASH_SHA256].key_len = old.keys[STORE_HASH_SHA512].key_len = 0;
    assert_int_equal(add_keys(store, &more), STORE_NOT_FOUND);
    store_account_add(store, mailbox, &old, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(add_keys(store, &other), STORE_EXISTS); /* of another password */
    more.keys[STORE_HASH_SHA1].key_len = 0;
    assert_int_equal(add_keys(store, &more), STORE_EXISTS); /* nothing shows that it is the same password */
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_int_equal(got_account.keys[STORE_HASH_SHA512].key_len, 0);
    more.keys[STORE_HASH_SHA1] = old.keys[STORE_HASH_SHA1];
    more.keys[STORE_HASH_SHA512].key_len = 0;
    assert_int_equal(add_keys(store, &more), STORE_OK);
    more = make_account("juliet", "a.test", 1);
    more.keys[STORE_HASH_SHA1].key_len = 0;
    assert_int_equal(add_keys(store, &more), STORE_OK);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    more = make_account("juliet", "a.test", 1);
    assert_same_account(&got_account, &more);
    store_close(&store);
}

static void test_disabled(void **state)
{
    struct store *store = open_store(*state);
    struct store_account account = make_account("born", "a.test", 1);

    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    assert_int_equal(add(store, "romeo", "a.test", 1), STORE_OK);
    store_account_set_disabled(store, mailbox, "juliet", "a.test", true, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_true(got_account.disabled);
    assert_int_equal(get(store, "romeo", "a.test"), STORE_OK);
    assert_false(got_account.disabled);
    /* A new password does not open it. */
    account = make_account("juliet", "a.test", 3);
    store_account_set_keys(store, mailbox, &account, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_true(got_account.disabled);
    assert_same_account(&got_account, &account);
    store_account_set_disabled(store, mailbox, "juliet", "a.test", false, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_false(got_account.disabled);
    store_account_set_disabled(store, mailbox, "nobody", "a.test", true, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_NOT_FOUND);
    /* An import may bring it so. */
    account = make_account("born", "a.test", 1);
    account.disabled = true;
    store_account_add(store, mailbox, &account, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(get(store, "born", "a.test"), STORE_OK);
    assert_true(got_account.disabled);
    store_close(&store);
}

/* Names are values, never SQL, and no text is cut at odd bytes. */
static void test_odd_names(void **state)
{
    struct store *store = open_store(*state);
    char longest[1024];
    static const char *const names[] = {"o'hara", "a\"b", "%", "_", "x; DROP TABLE account", "\xc3\xa4", "?1"};

    memset(longest, 'l', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(add(store, names[i], longest, 1), STORE_OK);
        assert_int_equal(get(store, names[i], longest), STORE_OK);
        assert_string_equal(got_account.local, names[i]);
        assert_string_equal(got_account.domain, longest);
    }
    store_close(&store);
}

static enum store_status seen[200];

static void on_numbered(enum store_status status, void *arg)
{
    seen[(enum store_status *)arg - seen] = status;
    answered(status);
}

/* Many calls at once are answered in their order; each sees the writes before it; one that fails spoils no other. */
static void test_batches(void **state)
{
    struct store *store = open_store(*state);
    struct store_account account = make_account("same", "a.test", 1);

    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        if (i % 4 == 2)
            store_account_del(store, mailbox, "same", "a.test", on_numbered, &seen[i]);
        else
            store_account_add(store, mailbox, &account, on_numbered, &seen[i]);
    }
    wait_for(ARRAY_LEN(seen));
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        /* add, exists, del, add, exists, exists, del, … */
        enum store_status wanted = i % 4 == 2 ? STORE_OK : i == 0 || i % 4 == 3 ? STORE_OK : STORE_EXISTS;
        assert_int_equal(seen[i], wanted);
    }
    store_close(&store);
}

/* What was posted before store_close is done, and its answers arrive. */
static void test_close_finishes(void **state)
{
    struct store *store = open_store(*state);
    char local[32];

    for (int i = 0; i < 100; i++) {
        snprintf(local, sizeof local, "user%d", i);
        struct store_account account = make_account(local, "a.test", 1);
        store_account_add(store, mailbox, &account, on_done, NULL);
    }
    store_close(&store);
    assert_null(store);
    assert_int_equal(wait_for(100), STORE_OK);
}

static void test_every_commit_reaches_the_disk(void **state)
{
    (void)state;
    struct store *store = open_store("sqlite");
    for (uint8_t i = 0; i < 5; i++) {
        char local[8];
        snprintf(local, sizeof local, "user%d", i);
        const unsigned before = atomic_load(&syncs);
        assert_int_equal(add(store, local, "a.test", i), STORE_OK);
        assert_true(atomic_load(&syncs) > before);
    }
    store_close(&store);
}

static void test_reopen(void **state)
{
    struct store_account wanted = make_account("juliet", "a.test", 1);
    char path[192];
    struct stat st;

    (void)state;
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(path, sizeof path, "%s/postern.sqlite-wal", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    store_close(&store);
    store = open_store("sqlite");
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    assert_same_account(&got_account, &wanted);
    store_close(&store);
}

/* The child adds accounts and reports each answer on a pipe, until it is killed. */
static void on_added_in_child(enum store_status status, void *arg)
{
    int number = (int)(intptr_t)arg;
    if (status != STORE_OK || write(got.wanted, &number, sizeof number) != sizeof number) _exit(1);
}

static _Noreturn void add_until_killed(int report_fd)
{
    char why[256], local[32];

    loop = loop_new();
    mailbox = mailbox_new(loop);
    struct store *store = store_open("sqlite", folder, why, sizeof why);
    if (!store) _exit(1);
    got.wanted = report_fd;
    for (intptr_t i = 0; i < 5000; i++) {
        snprintf(local, sizeof local, "user%d", (int)i);
        struct store_account account = make_account(local, "a.test", 1);
        store_account_add(store, mailbox, &account, on_added_in_child, (void *)i);
    }
    loop_run(loop);
    _exit(1);
}

static void test_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        int fds[2], number, last = -1;
        char local[32], parent[sizeof folder], sub[sizeof folder + 16];
        memcpy(parent, folder, sizeof folder);
        snprintf(sub, sizeof sub, "%s/%d", parent, round);
        assert_int_equal(mkdir(sub, 0700), 0);
        memcpy(folder, sub, sizeof folder);
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        if (child == 0) {
            close(fds[0]);
            add_until_killed(fds[1]);
        }
        close(fds[1]);
        /* At some point in the stream of answers, the child is gone. */
        for (int i = 0; i < 1 + round * 700 && read(fds[0], &number, sizeof number) == sizeof number; i++)
            last = number;
        kill(child, SIGKILL);
        while (read(fds[0], &number, sizeof number) == sizeof number)
            last = number;
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(last >= 0);
        close(fds[0]);

        struct store *store = open_store("sqlite");
        for (int i = 0; i <= last; i++) {
            snprintf(local, sizeof local, "user%d", i);
            assert_int_equal(get(store, local, "a.test"), STORE_OK);
        }
        store_close(&store);
        memcpy(folder, parent, sizeof folder);
    }
}

static int failures;

static void on_refused(enum store_status status, void *arg)
{
    (void)arg;
    failures += status == STORE_FULL;
    answered(status);
}

/* A commit that the disk refuses (here: the file may not grow) fails every waiter, and nothing of it is kept. */
static void test_failed_commit(void **state)
{
    struct rlimit old, small = {.rlim_cur = 8 * 1024};
    char local[32];

    (void)state;
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "first", "a.test", 1), STORE_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    failures = 0;
    for (int i = 0; i < 300; i++) {
        snprintf(local, sizeof local, "user%d", i);
        struct store_account account = make_account(local, "a.test", 1);
        store_account_add(store, mailbox, &account, on_refused, NULL);
    }
    wait_for(300);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, old_handler);
    assert_int_equal(failures, 300);
    assert_string_equal(list(store, NULL), "first@a.test ");
    assert_int_equal(add(store, "user299", "a.test", 1), STORE_OK);
    store_close(&store);
}

static int limit_pages(sqlite3 *db, const char **message, const struct sqlite3_api_routines *api)
{
    (void)message;
    (void)api;
    return sqlite3_exec(db, "PRAGMA max_page_count=20", NULL, NULL, NULL);
}

/* SQLite takes its extensions as functions of no type. */
static void limit_new_databases(void)
{
    union {
        int (*typed)(sqlite3 *, const char **, const struct sqlite3_api_routines *);
        void (*plain)(void);
    } entry = {.typed = limit_pages};
    assert_int_equal(sqlite3_auto_extension(entry.plain), SQLITE_OK);
}

/* No room is told apart from other failures; what fits is kept, and room can be made again. */
static void test_full(void **state)
{
    char local[32];
    int i = 0;

    (void)state;
    limit_new_databases();
    struct store *store = open_store("sqlite");
    sqlite3_reset_auto_extension();
    enum store_status status = STORE_OK;
    while (status == STORE_OK && i < 2000) {
        snprintf(local, sizeof local, "user%d", i++);
        status = add(store, local, "a.test", 1);
    }
    assert_int_equal(status, STORE_FULL);
    assert_int_equal(get(store, local, "a.test"), STORE_NOT_FOUND);
    assert_true(i > 10);
    for (int j = 0; j < i - 1; j++) {
        snprintf(local, sizeof local, "user%d", j);
        assert_int_equal(del(store, local, "a.test"), STORE_OK);
    }
    assert_int_equal(add(store, "last", "a.test", 1), STORE_OK);
    store_close(&store);
}

static void run_sql(const char *sql)
{
    sqlite3 *db;
    char path[192];

    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    chmod(path, 0600);
}

static void expect_refusal(const char *engine, const char *says)
{
    char why[512] = "";
    assert_null(store_open(engine, folder, why, sizeof why));
    if (!strstr(why, says)) print_error("why: %s\n", why);
    assert_non_null(strstr(why, says));
}

static void test_schema_versions(void **state)
{
    (void)state;
    run_sql("PRAGMA user_version=0");
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    store_close(&store);
    run_sql("PRAGMA user_version=999");
    expect_refusal("sqlite", "newer");
}

/* An account of the first schema is whole in today's: it can own. */
static void test_migration(void **state)
{
    (void)state;
    struct store *store = open_store("sqlite");
    assert_int_equal(add(store, "juliet", "a.test", 1), STORE_OK);
    store_close(&store);
    run_sql("DROP TABLE archive; DROP TABLE archive_log; DROP TABLE archive_size; DROP TABLE archive_gone; DROP TABLE "
            "queue; DROP TABLE record; DROP TABLE owner; ALTER "
            "TABLE account DROP "
            "COLUMN disabled; PRAGMA "
            "user_version=1");
    store = open_store("sqlite");
    assert_int_equal(get(store, "juliet", "a.test"), STORE_OK);
    const struct store_record change = {.kind = STORE_ROSTER, .key = "k", .value = "v"};
    store_records_change(store, mailbox, "juliet@a.test", &change, 1, on_done, NULL);
    assert_int_equal(wait_for(1), STORE_OK);
    assert_int_equal(del(store, "juliet", "a.test"), STORE_OK);
    store_close(&store);
}

static void test_refusals(void **state)
{
    char path[192];

    (void)state;
    expect_refusal("nosuch", "nosuch");
    chmod(folder, 0755);
    expect_refusal("sqlite", "chmod");
    chmod(folder, 0700);
    snprintf(path, sizeof path, "%s/postern.sqlite", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database; ", file);
    fclose(file);
    chmod(path, 0600);
    expect_refusal("sqlite", "not a database");
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    expect_refusal("sqlite", path);
}

/* Every file of the store is ours alone, or nothing starts; the message says what to do. */
static void test_private_files(void **state)
{
    static const char *const files[] = {"postern.sqlite", "postern.sqlite-wal", "postern.sqlite-shm"};
    char path[192], wanted[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
        chmod(path, 0640);
        snprintf(wanted, sizeof wanted, "(mode 0640); mend it by: chmod go= '%s'", path);
        expect_refusal("sqlite", wanted);
        chmod(path, 0600);
        if (geteuid() == 0) {
            assert_int_equal(chown(path, 65534, 65534), 0);
            snprintf(wanted, sizeof wanted, "belongs to somebody else; mend it by: chown root '%s'", path);
            expect_refusal("sqlite", wanted);
        }
        unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
        expect_refusal("sqlite", "is not a regular file");
        rmdir(path);
    }
    struct store *store = open_store("sqlite");
    store_close(&store);
}

/* What somebody else wrote into the database fails that account, and nothing more. */
static void test_tampered_rows(void **state)
{
    static const char *const changes[] = {
        "UPDATE account_scram SET iterations = 0 WHERE local = 'juliet'",
        "UPDATE account_scram SET iterations = 4000000000 WHERE local = 'juliet'",
        "UPDATE account_scram SET stored_key = x'00' WHERE local = 'juliet'",
        "UPDATE account_scram SET server_key = zeroblob(100000) WHERE local = 'juliet'",
        "UPDATE account_scram SET salt = zeroblob(65) WHERE local = 'juliet'",
        "UPDATE account_scram SET salt = x'' WHERE local = 'juliet'",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct store_account account = make_account("juliet", "a.test", 1);
        struct store *store = open_store("sqlite");
        (void)add(store, "romeo", "a.test", 1);
        (void)add(store, "juliet", "a.test", 1);
        store_account_set_keys(store, mailbox, &account, on_done, NULL);
        assert_int_equal(wait_for(1), STORE_OK);
        store_close(&store);
        run_sql(changes[i]);
        store = open_store("sqlite");
        assert_int_equal(get(store, "juliet", "a.test"), STORE_FAILED);
        assert_int_equal(get(store, "romeo", "a.test"), STORE_OK);
        store_close(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH_ENGINE(test_accounts),
        FOR_EACH_ENGINE(test_shapes),
        FOR_EACH_ENGINE(test_keys_are_added_to_those_that_are_there),
        FOR_EACH_ENGINE(test_disabled),
        FOR_EACH_ENGINE(test_odd_names),
        FOR_EACH_ENGINE(test_batches),
        FOR_EACH_ENGINE(test_close_finishes),
        FOR_SQLITE(test_every_commit_reaches_the_disk),
        FOR_SQLITE(test_reopen),
        FOR_SQLITE(test_acknowledged_survives_a_kill),
        FOR_SQLITE(test_failed_commit),
        FOR_SQLITE(test_full),
        FOR_SQLITE(test_schema_versions),
        FOR_SQLITE(test_migration),
        FOR_SQLITE(test_refusals),
        FOR_SQLITE(test_private_files),
        FOR_SQLITE(test_tampered_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
