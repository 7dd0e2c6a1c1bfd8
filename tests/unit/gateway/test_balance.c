#include "gateway/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static struct addr client(unsigned n)
{
    struct addr addr = {.in = {.sin_family = AF_INET, .sin_port = htons(1000), .sin_addr.s_addr = htonl(n)}};
    return addr;
}

static uint64_t source_of(const char *text)
{
    struct addr addr = {.in6 = {.sin6_family = AF_INET6}};
    assert_int_equal(inet_pton(AF_INET6, text, &addr.in6.sin6_addr), 1);
    return balance_source(&addr);
}

static void name_all(struct balance_server *servers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "10.0.0.%zu:443", i);
        servers[i].seed = balance_seed(name);
    }
}

/* As nginx, whose round robin this is, documents it for 5, 1, 1. */
static void test_turns_are_smooth(void **state)
{
    (void)state;
    struct balance_server servers[] = {{.weight = 5}, {.weight = 1}, {.weight = 1}};
    static const size_t wanted[] = {0, 0, 1, 0, 2, 0, 0};
    for (int cycle = 0; cycle < 3; cycle++)
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
            assert_int_equal(balance_choose(BALANCE_ROUND_ROBIN, servers, 7, 0), wanted[i]);
}

static void test_turns_are_exact(void **state)
{
    (void)state;
    static const uint32_t weights[] = {1, 256, 3, 40, 7};
    struct balance_server servers[5] = {{0}};
    unsigned counts[5] = {0}, sum = 0;
    for (size_t i = 0; i < 5; i++)
        sum += servers[i].weight = weights[i];
    for (unsigned i = 0; i < 4 * sum; i++)
        counts[balance_choose(BALANCE_ROUND_ROBIN, servers, 31, 0)]++;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(counts[i], 4 * weights[i]);
}

static void test_turns_leave_out_who_is_not_eligible(void **state)
{
    (void)state;
    struct balance_server servers[] = {{.weight = 1}, {.weight = 9}, {.weight = 2}};
    unsigned counts[3] = {0};
    for (int i = 0; i < 30; i++)
        counts[balance_choose(BALANCE_ROUND_ROBIN, servers, 5, 0)]++;
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 20);
}

static void test_least_connections(void **state)
{
    (void)state;
    struct balance_server servers[] = {
        {.weight = 1, .connections = 3}, {.weight = 4, .connections = 8}, {.weight = 1, .connections = 2}};
    unsigned counts[3] = {0};
    assert_int_equal(balance_choose(BALANCE_LEAST_CONNECTIONS, servers, 5, 0), 2);
    /* 8 at weight 4 is as much as 2 at weight 1: these two take turns by their weights, not the third. */
    for (int i = 0; i < 50; i++)
        counts[balance_choose(BALANCE_LEAST_CONNECTIONS, servers, 7, 0)]++;
    assert_int_equal(counts[0], 0);
    assert_in_range(counts[1], 39, 41);
    /* Filling up empty servers keeps to the weights. */
    struct balance_server empty[] = {{.weight = 1}, {.weight = 3}};
    for (int i = 0; i < 40; i++)
        empty[balance_choose(BALANCE_LEAST_CONNECTIONS, empty, 3, 0)].connections++;
    assert_int_equal(empty[0].connections, 10);
}

static void test_first(void **state)
{
    (void)state;
    struct balance_server servers[64];
    assert_int_equal(balance_choose(BALANCE_FIRST, servers, UINT64_C(0xc), 0), 2);
    assert_int_equal(balance_choose(BALANCE_FIRST, servers, UINT64_C(1) << 63, 0), 63);
}

enum { CLIENTS = 20000 };

static void test_source_hash_keeps_to_weights(void **state)
{
    (void)state;
    struct balance_server servers[] = {{.weight = 1}, {.weight = 2}, {.weight = 5}};
    unsigned counts[3] = {0};
    name_all(servers, 3);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct addr from = client(0x0a000000 + i);
        counts[balance_choose(BALANCE_SOURCE_HASH, servers, 7, balance_source(&from))]++;
    }
    assert_in_range(counts[0], CLIENTS / 8 - 300, CLIENTS / 8 + 300);
    assert_in_range(counts[1], CLIENTS / 4 - 400, CLIENTS / 4 + 400);
}

/* A server that goes away moves its own clients only, and gets them back; one that is added takes its share only. */
static void test_source_hash_is_stable(void **state)
{
    (void)state;
    struct balance_server servers[5] = {{0}};
    unsigned moved = 0, taken = 0;
    name_all(servers, 5);
    for (size_t i = 0; i < 5; i++)
        servers[i].weight = 2;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct addr from = client(0xc0000200 + i * 7);
        uint64_t source = balance_source(&from);
        size_t before = balance_choose(BALANCE_SOURCE_HASH, servers, 15, source);
        size_t without = balance_choose(BALANCE_SOURCE_HASH, servers, 13, source);
        size_t more = balance_choose(BALANCE_SOURCE_HASH, servers, 31, source);
        if (before != 1) assert_int_equal(without, before);
        if (more != 4) assert_int_equal(more, before);
        moved += before == 1;
        taken += more == 4;
    }
    assert_in_range(moved, CLIENTS / 4 - 400, CLIENTS / 4 + 400);
    assert_in_range(taken, CLIENTS / 5 - 400, CLIENTS / 5 + 400);
}

/* The order in the file does not matter, nor does the process: these numbers are the same for ever. */
static void test_source_hash_goes_by_names(void **state)
{
    (void)state;
    struct balance_server one[2] = {{.weight = 1, .seed = balance_seed("a:1")},
                                    {.weight = 1, .seed = balance_seed("b:1")}};
    struct balance_server other[2] = {one[1], one[0]};
    for (unsigned i = 0; i < 1000; i++) {
        struct addr from = client(i);
        uint64_t source = balance_source(&from);
        assert_int_equal(balance_choose(BALANCE_SOURCE_HASH, one, 3, source),
                         1 - balance_choose(BALANCE_SOURCE_HASH, other, 3, source));
    }
}

static void test_a_client_is_its_network(void **state)
{
    (void)state;
    struct addr a = client(1), b = client(1);
    b.in.sin_port = 77;
    assert_true(balance_source(&a) == balance_source(&b));
    assert_true(source_of("2001:db8::1") == source_of("2001:db8::ffff:1"));
    assert_true(source_of("2001:db8::1") != source_of("2001:db8:0:1::1"));
    assert_true(source_of("fc00:dead:beef:4dad::1") != source_of("fc00:dead:beef:4dad::2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_are_smooth),
        cmocka_unit_test(test_turns_are_exact),
        cmocka_unit_test(test_turns_leave_out_who_is_not_eligible),
        cmocka_unit_test(test_least_connections),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_source_hash_keeps_to_weights),
        cmocka_unit_test(test_source_hash_is_stable),
        cmocka_unit_test(test_source_hash_goes_by_names),
        cmocka_unit_test(test_a_client_is_its_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
