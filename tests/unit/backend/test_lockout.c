#include "backend/lockout.h"

#include "lib/mem.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PER_SOURCE = 5, PER_ACCOUNT = 20, INTERVAL_MS = 60000 };

static struct lockout *lockout;
static struct lockout_limits limits;
static int64_t now_ms;

static struct addr address(const char *text)
{
    struct addr a = {0};
    if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons((uint16_t)(now_ms % 60000)); /* ports do not matter */
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
        a.in6.sin6_family = AF_INET6;
    }
    return a;
}

static struct lockout_key key(const char *peer, const char *bare)
{
    const struct addr a = address(peer);
    return lockout_key(&limits, &a, bare);
}

static enum lockout_verdict verdict(const char *peer, const char *bare)
{
    const struct lockout_key k = key(peer, bare);
    return lockout_check(lockout, &k, now_ms);
}

static int64_t delay(const char *peer, const char *bare)
{
    const struct lockout_key k = key(peer, bare);
    return lockout_delay_ms(lockout, &k, now_ms);
}

static enum lockout_verdict failure(const char *peer, const char *bare)
{
    const struct lockout_key k = key(peer, bare);
    return lockout_failed(lockout, &k, now_ms);
}

static void success(const char *peer, const char *bare)
{
    const struct lockout_key k = key(peer, bare);
    lockout_succeeded(lockout, &k, now_ms);
}

static void test_a_source_is_delayed_then_locked(void **state)
{
    static const int64_t delays[] = {0, 500, 1000, 2000, 4000};

    (void)state;
    for (int i = 0; i < PER_SOURCE; i++) {
        assert_int_equal(delay("192.0.2.1", "a@x"), delays[i]);
        assert_int_equal(verdict("192.0.2.1", "a@x"), LOCKOUT_OPEN);
        /* other accounts are no way round */
        const char *bare = i % 2 ? "a@x" : "b@x";
        assert_int_equal(failure("192.0.2.1", bare), i == PER_SOURCE - 1 ? LOCKOUT_SOURCE : LOCKOUT_OPEN);
    }
    assert_int_equal(delay("192.0.2.1", "a@x"), 4000); /* the longest */
    assert_int_equal(verdict("192.0.2.1", "a@x"), LOCKOUT_SOURCE);
    assert_int_equal(verdict("192.0.2.1", "never@seen"), LOCKOUT_SOURCE);
    assert_int_equal(verdict("192.0.2.2", "a@x"), LOCKOUT_OPEN);
    assert_int_equal(delay("192.0.2.2", "a@x"), 0);
    now_ms += INTERVAL_MS - 1;
    assert_int_equal(verdict("192.0.2.1", "a@x"), LOCKOUT_SOURCE);
    now_ms += 1; /* one has run off: one more attempt */
    assert_int_equal(verdict("192.0.2.1", "a@x"), LOCKOUT_OPEN);
    assert_int_equal(failure("192.0.2.1", "a@x"), LOCKOUT_SOURCE);
    now_ms += (int64_t)PER_SOURCE * INTERVAL_MS;
    assert_int_equal(delay("192.0.2.1", "a@x"), 0);
}

/* The attacker's own account does not wash his source clean. */
static void test_success_elsewhere_forgives_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < PER_SOURCE; i++) {
        failure("192.0.2.1", "victim@x");
        success("192.0.2.1", "attacker@x");
    }
    assert_int_equal(verdict("192.0.2.1", "victim@x"), LOCKOUT_SOURCE);
    assert_int_equal(verdict("192.0.2.1", "attacker@x"), LOCKOUT_OPEN);
}

static void attack_from_everywhere(const char *bare)
{
    for (int i = 0; i < PER_ACCOUNT; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "198.51.100.%d", i);
        failure(peer, bare);
    }
}

static void test_an_account_is_locked_but_not_for_who_is_known(void **state)
{
    (void)state;
    success("192.0.2.1", "juliet@x");
    attack_from_everywhere("juliet@x");
    assert_int_equal(verdict("203.0.113.1", "juliet@x"), LOCKOUT_ACCOUNT);
    assert_true(delay("203.0.113.1", "juliet@x") > 0);
    assert_int_equal(verdict("192.0.2.1", "juliet@x"), LOCKOUT_OPEN);
    assert_int_equal(delay("192.0.2.1", "juliet@x"), 0);
    assert_int_equal(verdict("203.0.113.1", "romeo@x"), LOCKOUT_OPEN);
    lockout_forgive_account(lockout, "juliet@x");
    assert_int_equal(verdict("203.0.113.1", "juliet@x"), LOCKOUT_OPEN);
}

/* Behind one address sit an attacker and a user: only what fails for the user's account counts against him there. */
static void test_a_shared_address(void **state)
{
    (void)state;
    success("192.0.2.1", "juliet@x");
    for (int i = 0; i < PER_SOURCE; i++)
        failure("192.0.2.1", "romeo@x");
    assert_int_equal(verdict("192.0.2.1", "romeo@x"), LOCKOUT_SOURCE);
    assert_int_equal(verdict("192.0.2.1", "juliet@x"), LOCKOUT_OPEN);
    for (int i = 0; i < PER_SOURCE; i++)
        assert_int_equal(failure("192.0.2.1", "juliet@x"), i == PER_SOURCE - 1 ? LOCKOUT_SOURCE : LOCKOUT_OPEN);
    assert_int_equal(verdict("192.0.2.1", "juliet@x"), LOCKOUT_SOURCE);
    assert_int_equal(verdict("203.0.113.1", "juliet@x"), LOCKOUT_OPEN); /* and nowhere else */
    lockout_forgive_account(lockout, "juliet@x");
    assert_int_equal(verdict("192.0.2.1", "juliet@x"), LOCKOUT_OPEN);
    const struct addr peer = address("192.0.2.1");
    assert_int_equal(verdict("192.0.2.1", "romeo@x"), LOCKOUT_SOURCE);
    lockout_forgive_source(lockout, &peer);
    assert_int_equal(verdict("192.0.2.1", "romeo@x"), LOCKOUT_OPEN);
}

static void lock(const char *peer)
{
    for (int i = 0; i < PER_SOURCE; i++)
        failure(peer, "a@x");
    assert_int_equal(verdict(peer, "a@x"), LOCKOUT_SOURCE);
}

static void test_what_a_source_is(void **state)
{
    (void)state;
    lock("2001:db8:1:2::1");
    assert_int_equal(verdict("2001:db8:1:2:ffff::9", "a@x"), LOCKOUT_SOURCE);
    assert_int_equal(verdict("2001:db8:1:3::1", "a@x"), LOCKOUT_OPEN);
    lock("fc00:dead:beef:4dad::1:2");
    assert_int_equal(verdict("fc00:dead:beef:4dad::1:3", "a@x"), LOCKOUT_OPEN); /* another circuit of Tor */
}

static void test_unlimited_and_unknown_sources(void **state)
{
    struct cidr network = {.family = 4, .bits = 8, .net = {127}};
    struct addr unknown = {0};

    (void)state;
    limits.unlimited = (struct cidr_set){.count = 1, .items = &network};
    for (int i = 0; i < PER_SOURCE; i++)
        assert_int_equal(failure("127.0.0.1", "a@x"), LOCKOUT_OPEN);
    assert_int_equal(verdict("127.0.0.1", "b@x"), LOCKOUT_OPEN);
    /* all come from there: whoever logs in makes the others no better known */
    success("127.0.0.1", "a@x");
    for (int i = PER_SOURCE; i < PER_ACCOUNT; i++)
        failure("127.0.0.1", "a@x");
    assert_int_equal(verdict("127.0.0.1", "a@x"), LOCKOUT_ACCOUNT);
    const struct lockout_key k = lockout_key(&limits, &unknown, "b@x");
    assert_true(k.source == 0 && k.pair == 0);
    assert_int_equal(lockout_check(lockout, &k, now_ms), LOCKOUT_OPEN);
    limits.unlimited = (struct cidr_set){0};
}

static void test_no_limits(void **state)
{
    (void)state;
    limits.per_source = limits.per_account = 0;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(failure("192.0.2.1", "a@x"), LOCKOUT_OPEN);
    assert_int_equal(verdict("192.0.2.1", "a@x"), LOCKOUT_OPEN);
    assert_int_equal(delay("192.0.2.1", "a@x"), 0);
}

/* A million strangers neither make anybody forget who is at the limit, nor who is known. */
static void test_a_flood(void **state)
{
    (void)state;
    success("192.0.2.1", "juliet@x");
    lock("192.0.2.9");
    for (unsigned i = 0; i < 1000000; i++) {
        struct addr a = {.in = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000000U + i)}}};
        char bare[32];
        snprintf(bare, sizeof bare, "u%u@x", i);
        const struct lockout_key k = lockout_key(&limits, &a, bare);
        lockout_failed(lockout, &k, now_ms);
    }
    assert_int_equal(verdict("192.0.2.9", "a@x"), LOCKOUT_SOURCE);
    attack_from_everywhere("juliet@x");
    assert_int_equal(verdict("192.0.2.1", "juliet@x"), LOCKOUT_OPEN);
    assert_int_equal(verdict("192.0.2.2", "juliet@x"), LOCKOUT_ACCOUNT);
}

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000000;
    limits = (struct lockout_limits){.per_source = PER_SOURCE,
                                     .per_account = PER_ACCOUNT,
                                     .window_ms = (int64_t)PER_SOURCE * INTERVAL_MS,
                                     .longest_delay_ms = 4000};
    lockout = lockout_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lockout_free(&lockout);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_source_is_delayed_then_locked),
        TEST(test_success_elsewhere_forgives_nothing),
        TEST(test_an_account_is_locked_but_not_for_who_is_known),
        TEST(test_a_shared_address),
        TEST(test_what_a_source_is),
        TEST(test_unlimited_and_unknown_sources),
        TEST(test_no_limits),
        TEST(test_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
