#include "backend/key_shapes.h"

#include "backend/backend.h"
#include "backend/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { ALL = (1 << STORE_HASHES) - 1, OLD = ALL & ~(1 << STORE_HASH_SHA512), USUAL = 12345 };

static struct backend backend;
static struct loop *loop;
static struct mailbox *mailbox;
static struct key_shapes *shapes;

static void on_done(enum store_status status, void *arg)
{
    (void)arg;
    assert_int_equal(status, STORE_OK);
}

static struct store_account account(const char *local, uint32_t iterations, unsigned hashes)
{
    struct store_account a = {.domain = "a.test"};
    snprintf(a.local, sizeof(a.local), "%s", local);
    scram_make_keys("x", iterations, a.keys);
    for (int hash = 0; hash < STORE_HASHES; hash++)
        if (!(hashes & 1U << hash)) memset(&a.keys[hash], 0, sizeof(a.keys[hash]));
    return a;
}

static void add(const char *local, uint32_t iterations, unsigned hashes)
{
    const struct store_account a = account(local, iterations, hashes);
    store_account_add(backend.store, mailbox, &a, on_done, NULL);
}

static void load(void)
{
    key_shapes_load(shapes, "a.test");
    key_shapes_wait(shapes);
}

/* How many of 1,000 made-up names have so many iterations. */
static unsigned count(uint32_t iterations)
{
    unsigned found = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t dice = i * (UINT64_MAX / 1000);
        const struct store_shape shape = key_shapes_choose(shapes, "a.test", dice, USUAL);
        const struct store_shape again = key_shapes_choose(shapes, "a.test", dice, USUAL);
        assert_memory_equal(shape.iterations, again.iterations, sizeof(shape.iterations));
        if (shape.iterations[STORE_HASH_SHA256] == iterations) found++;
    }
    return found;
}

static void test_a_host_without_accounts(void **state)
{
    (void)state;
    load();
    assert_int_equal(key_shapes_hashes(shapes, "a.test"), ALL);
    assert_int_equal(count(USUAL), 1000);
    assert_int_equal(key_shapes_choose(shapes, "a.test", 7, USUAL).salt_len[0], SCRAM_SALT_BYTES);
}

/* Whoever is made up is of a kind that the host has, as often as it has it. */
static void test_shapes_are_those_of_the_accounts(void **state)
{
    (void)state;
    add("one", 1000, ALL);
    add("two", 1000, ALL);
    add("three", 1000, ALL);
    add("four", 2000, ALL);
    add("nobody", 1000, 0); /* without a password: of no kind */
    load();
    assert_int_equal(key_shapes_hashes(shapes, "a.test"), ALL);
    assert_in_range(count(1000), 749, 751);
    assert_in_range(count(2000), 249, 251);
}

static void test_a_hash_that_some_lack_is_not_offered(void **state)
{
    (void)state;
    add("new", 1000, ALL);
    load();
    assert_int_equal(key_shapes_hashes(shapes, "a.test"), ALL);
    const struct store_account old = account("old", 1000, OLD);
    key_shapes_changed(shapes, "a.test", old.keys); /* counts at once */
    assert_int_equal(key_shapes_hashes(shapes, "a.test"), OLD);
    assert_int_equal(key_shapes_hashes(shapes, "b.test"), ALL);
    add("old", 1000, OLD);
    load();
    assert_int_equal(key_shapes_hashes(shapes, "a.test"), OLD);
    const struct store_account renewed = account("old", 1000, ALL);
    store_account_set_keys(backend.store, mailbox, &renewed, on_done, NULL);
    load();
    assert_int_equal(key_shapes_hashes(shapes, "a.test"), ALL);
}

static int set_up(void **state)
{
    char why[256];
    (void)state;
    loop = loop_new();
    mailbox = mailbox_new(loop);
    backend.store = store_open("memory", "", why, sizeof(why));
    shapes = key_shapes_new(&backend, loop, mailbox);
    return backend.store ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    load(); /* what was asked about other hosts is answered, too */
    store_close(&backend.store);
    key_shapes_free(&shapes);
    mailbox_free(&mailbox);
    loop_free(&loop);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_host_without_accounts),
        TEST(test_shapes_are_those_of_the_accounts),
        TEST(test_a_hash_that_some_lack_is_not_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
