#include "gateway/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mem.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* An upstream of a configuration that is made here, seen by two workers. */
struct rig {
    struct upstream_config config;
    struct upstream_state *state;
    struct loop *loop;
    struct upstream workers[2];
};

static const struct addr CLIENT = {.in = {.sin_family = AF_INET}};

static void close_rig(struct rig *rig)
{
    for (size_t w = 0; w < 2; w++)
        upstream_close(&rig->workers[w]);
    upstream_state_free(&rig->state);
    upstream_config_clear(&rig->config);
    loop_free(&rig->loop);
}

static void open_rig(struct rig *rig, enum balance balance, const char *const *servers, size_t count)
{
    char why[512];
    memset(rig, 0, sizeof(*rig));
    rig->config = (struct upstream_config){
        .name = "u",
        .balance = balance,
        .servers = mem_alloc(count * sizeof(struct server_text)),
        .ejection = {.max_fails = 1, .fail_timeout_ms = 3600000, .max_ms = 3600000},
    };
    for (size_t i = 0; i < count; i++)
        assert_int_equal(server_text_parse(servers[i], &rig->config.servers[i], why, sizeof(why)), 0);
    rig->config.server_count = count;
    rig->loop = loop_new();
    rig->state = upstream_state_new(&rig->config, 1, 2);
    for (size_t w = 0; w < 2; w++)
        upstream_init(&rig->workers[w], rig->state, w, 0, rig->loop);
}

/* The server that a worker chooses; -1: full, -2: none. */
static int choose(struct rig *rig, size_t worker, uint64_t tried)
{
    uint32_t server = 0;
    switch (upstream_choose(&rig->workers[worker], &CLIENT, tried, &server)) {
    case UPSTREAM_CHOSEN:
        return (int)server;
    case UPSTREAM_FULL:
        return -1;
    case UPSTREAM_NONE:
        break;
    }
    return -2;
}

static struct upstream_server *server_at(struct rig *rig, size_t i)
{
    return &upstream_state_servers(rig->state, 0)[i];
}

static void test_limits_count_all_workers(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1 max-connections=2", "10.0.0.2:1 max-connections=1"};
    struct rig rig;
    open_rig(&rig, BALANCE_FIRST, servers, 2);
    assert_int_equal(choose(&rig, 0, 0), 0);
    assert_int_equal(choose(&rig, 1, 0), 0);
    assert_int_equal(choose(&rig, 0, 0), 1);
    assert_int_equal(choose(&rig, 1, 0), -1);
    assert_int_equal(upstream_state_all_connections(rig.state, 0), 3);
    upstream_release(&rig.workers[1], 0);
    assert_int_equal(choose(&rig, 0, 0), 0);
    /* The one of worker 0 there stays; what is left of worker 1 is gone. */
    assert_int_equal(upstream_state_connections(rig.state, 0, 0), 2);
    upstream_state_bury(rig.state, 0);
    assert_int_equal(upstream_state_all_connections(rig.state, 0), 0);
    close_rig(&rig);
}

static void test_limit_of_the_whole(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1", "10.0.0.2:1"};
    struct rig rig;
    open_rig(&rig, BALANCE_ROUND_ROBIN, servers, 2);
    rig.config.max_connections = 2;
    assert_true(choose(&rig, 0, 0) >= 0);
    assert_true(choose(&rig, 1, 0) >= 0);
    assert_int_equal(choose(&rig, 0, 0), -1);
    close_rig(&rig);
}

static void test_a_full_server_is_no_reason_for_the_backup(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1 max-connections=1", "10.0.0.2:1 backup"};
    struct rig rig;
    open_rig(&rig, BALANCE_ROUND_ROBIN, servers, 2);
    assert_int_equal(choose(&rig, 0, 0), 0);
    assert_int_equal(choose(&rig, 0, 0), -1);
    assert_int_equal(choose(&rig, 0, 1), 1); /* but one that failed is */
    assert_int_equal(choose(&rig, 0, 3), -2);
    close_rig(&rig);
}

static void test_who_may_get_connections(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1", "10.0.0.2:1", "www.example.com:1", "10.0.0.4:1 backup"};
    struct rig rig;
    struct addr address = {.in = {.sin_family = AF_INET, .sin_port = htons(1)}};
    open_rig(&rig, BALANCE_FIRST, servers, 4);
    assert_int_equal(choose(&rig, 0, 0), 0);
    atomic_store(&server_at(&rig, 0)->admin, UPSTREAM_DRAIN);
    assert_int_equal(choose(&rig, 0, 0), 1);
    atomic_store(&server_at(&rig, 1)->weight, 0);
    assert_int_equal(choose(&rig, 0, 0), 3); /* the name has no address yet */
    upstream_address_set(&server_at(&rig, 2)->address, &address);
    assert_int_equal(choose(&rig, 0, 0), 2);
    atomic_store(&server_at(&rig, 2)->down, true);
    assert_int_equal(choose(&rig, 0, 0), 3);
    atomic_store(&server_at(&rig, 3)->admin, UPSTREAM_MAINTENANCE);
    assert_int_equal(choose(&rig, 0, 0), -2);
    atomic_store(&server_at(&rig, 1)->weight, 256);
    assert_int_equal(choose(&rig, 0, 0), 1);
    close_rig(&rig);
}

static void test_the_ejected_come_last(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1 backup"};
    struct rig rig;
    open_rig(&rig, BALANCE_FIRST, servers, 3);
    assert_true(upstream_failed(&rig.workers[0], 0));
    assert_int_equal(choose(&rig, 1, 0), 1);
    assert_true(upstream_failed(&rig.workers[1], 1));
    assert_int_equal(choose(&rig, 0, 0), 2);
    assert_true(upstream_failed(&rig.workers[0], 2));
    assert_int_equal(choose(&rig, 0, 0), 0);
    assert_int_equal(choose(&rig, 0, 1), 1);
    assert_int_equal(choose(&rig, 0, 7), -2);
    assert_true(upstream_worked(&rig.workers[1], 1));
    assert_false(upstream_worked(&rig.workers[1], 1));
    assert_int_equal(choose(&rig, 0, 0), 1);
    close_rig(&rig);
}

/* The time is over: one connection gets it, all others another one. */
static void test_one_trial_at_a_time(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1", "10.0.0.2:1"};
    struct rig rig;
    open_rig(&rig, BALANCE_FIRST, servers, 2);
    assert_true(upstream_failed(&rig.workers[0], 0));
    atomic_store(&server_at(&rig, 0)->ejection.until_ms, 2);
    assert_int_equal(choose(&rig, 0, 0), 0);
    assert_int_equal(choose(&rig, 1, 0), 1);
    assert_int_equal(choose(&rig, 0, 0), 1);
    assert_int_equal(choose(&rig, 0, 2), 0); /* rather than none */
    close_rig(&rig);
}

static void test_workers_begin_at_different_servers(void **state)
{
    (void)state;
    static const char *const servers[] = {"10.0.0.1:1", "10.0.0.2:1"};
    struct rig rig;
    open_rig(&rig, BALANCE_ROUND_ROBIN, servers, 2);
    assert_int_equal(choose(&rig, 0, 0), 0);
    assert_int_equal(choose(&rig, 1, 0), 1);
    close_rig(&rig);
}

static void test_addresses_are_read_as_they_were_written(void **state)
{
    (void)state;
    struct upstream_address shared = {0};
    struct addr in = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443), .sin6_scope_id = 7}}, out;
    in.in6.sin6_addr.s6_addr[15] = 9;
    assert_false(upstream_address_get(&shared, &out));
    upstream_address_set(&shared, &in);
    assert_true(upstream_address_get(&shared, &out));
    assert_true(addr_equal(&in, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_count_all_workers),
        cmocka_unit_test(test_limit_of_the_whole),
        cmocka_unit_test(test_a_full_server_is_no_reason_for_the_backup),
        cmocka_unit_test(test_who_may_get_connections),
        cmocka_unit_test(test_the_ejected_come_last),
        cmocka_unit_test(test_one_trial_at_a_time),
        cmocka_unit_test(test_workers_begin_at_different_servers),
        cmocka_unit_test(test_addresses_are_read_as_they_were_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
