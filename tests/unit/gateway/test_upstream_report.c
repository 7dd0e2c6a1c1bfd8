#include "gateway/upstream_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mem.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static char why[512];

static void add_server(struct upstream_config *config, const char *text)
{
    config->servers = mem_realloc(config->servers, (config->server_count + 1) * sizeof(*config->servers));
    assert_int_equal(server_text_parse(text, &config->servers[config->server_count], why, sizeof(why)), 0);
    config->server_count++;
}

static struct upstream_config make_config(const char *name)
{
    return (struct upstream_config){
        .name = name,
        .check_interval_ms = 1000,
        .ejection = {.max_fails = 1, .fail_timeout_ms = 60000, .max_ms = 60000},
    };
}

/* The server of a report by its name, borrowed. */
static json_t *find(const json_t *report, const char *name)
{
    size_t i, k;
    json_t *upstream, *server;
    json_array_foreach((json_t *)(uintptr_t)report, i, upstream)
    {
        json_array_foreach(json_object_get(upstream, "servers"), k, server)
        {
            if (strcmp(json_string_value(json_object_get(server, "server")), name) == 0) return server;
        }
    }
    fail_msg("%s is not in the report", name);
    return NULL;
}

static const char *text(const json_t *server, const char *key)
{
    return json_string_value(json_object_get(server, key));
}

static json_int_t number(const json_t *server, const char *key)
{
    return json_integer_value(json_object_get(server, key));
}

static void test_what_is_set_is_reported(void **state)
{
    (void)state;
    struct upstream_config config = make_config("u");
    add_server(&config, "10.0.0.1:1 weight=3");
    add_server(&config, "10.0.0.2:1 backup");
    struct upstream_state *shared = upstream_state_new(&config, 1, 1);
    assert_int_equal(upstream_report_set_admin(shared, "u", "10.0.0.1:1", "drain", why, sizeof(why)), 0);
    assert_int_equal(upstream_report_set_weight(shared, "u", "10.0.0.2:1", 7, why, sizeof(why)), 0);
    json_t *report = upstream_report(shared);
    assert_string_equal(text(find(report, "10.0.0.1:1"), "admin"), "drain");
    assert_string_equal(text(find(report, "10.0.0.1:1"), "state"), "up");
    assert_int_equal(number(find(report, "10.0.0.1:1"), "weight"), 3);
    assert_int_equal(number(find(report, "10.0.0.2:1"), "weight"), 7);
    assert_int_equal(number(find(report, "10.0.0.2:1"), "weight_configured"), 1);
    json_decref(report);

    assert_int_equal(upstream_report_set_admin(shared, "v", "10.0.0.1:1", "drain", why, sizeof(why)), -1);
    assert_int_equal(upstream_report_set_admin(shared, "u", "10.0.0.1:2", "drain", why, sizeof(why)), -1);
    assert_int_equal(upstream_report_set_admin(shared, "u", "10.0.0.1:1", "away", why, sizeof(why)), -1);
    assert_int_equal(upstream_report_set_weight(shared, "u", "10.0.0.1:1", 257, why, sizeof(why)), -1);
    assert_string_equal(why, "expected a weight from 0 to 256, or default (in JSON -1)");
    assert_int_equal(upstream_report_set_weight(shared, "u", "10.0.0.1:1", -2, why, sizeof(why)), -1);
    upstream_state_free(&shared);
    upstream_config_clear(&config);
}

/* A reload: other upstreams in another order, a server less, one more, another weight in the file. */
static void test_a_report_is_taken_over(void **state)
{
    (void)state;
    struct upstream_config before = make_config("u"), after[2] = {make_config("other"), make_config("u")};
    struct addr address = {.in = {.sin_family = AF_INET, .sin_port = htons(443), .sin_addr.s_addr = htonl(0x0a000009)}};
    add_server(&before, "10.0.0.1:1");
    add_server(&before, "10.0.0.2:1");
    add_server(&before, "www.example.com:443");
    add_server(&before, "10.0.0.4:1");
    add_server(&after[0], "10.0.0.1:1");
    add_server(&after[1], "www.example.com:443");
    add_server(&after[1], "10.0.0.5:1");
    add_server(&after[1], "10.0.0.4:1 weight=9");
    add_server(&after[1], "10.0.0.1:1 weight=2");

    struct upstream_state *old = upstream_state_new(&before, 1, 2), *new = upstream_state_new(after, 2, 1);
    struct upstream_server *servers = upstream_state_servers(old, 0);
    assert_int_equal(upstream_report_set_admin(old, "u", "10.0.0.1:1", "maintenance", why, sizeof(why)), 0);
    assert_int_equal(upstream_report_set_weight(old, "u", "10.0.0.4:1", 5, why, sizeof(why)), 0);
    upstream_address_set(&servers[2].address, &address);
    atomic_store(&servers[3].down, true);
    assert_int_equal(ejection_failed(&servers[2].ejection, &before.ejection, 1000000000000), 60000);
    atomic_store(&upstream_state_cells(old, 1, 0)[3].total, 42);
    atomic_store(&upstream_state_cells(old, 0, 0)[3].total, 1);
    atomic_store(&upstream_state_cells(old, 1, 0)[3].connections, 3);

    json_t *report = upstream_report(old);
    upstream_report_restore(new, report);
    json_decref(report);
    report = upstream_report(new);
    const json_t *name = find(report, "www.example.com:443"), *fourth = find(report, "10.0.0.4:1");
    assert_string_equal(text(name, "address"), "10.0.0.9:443");
    assert_string_equal(text(name, "state"), "ejected");
    assert_in_range(number(name, "ejected_for_ms"), 50000, 60001);
    assert_string_equal(text(fourth, "state"), "down");
    assert_int_equal(number(fourth, "weight"), 5);
    assert_int_equal(number(fourth, "total"), 43);
    assert_int_equal(number(fourth, "connections"), 0); /* they are the old workers' */
    /* "other" comes first in the new file, and its server of the same name is another one. */
    assert_string_equal(text(find(report, "10.0.0.1:1"), "admin"), "ready");
    assert_int_equal(atomic_load(&upstream_state_servers(new, 1)[3].admin), UPSTREAM_MAINTENANCE);
    assert_int_equal(upstream_state_weight(&upstream_state_servers(new, 1)[3], &after[1].servers[3]), 2);
    assert_string_equal(text(find(report, "10.0.0.5:1"), "state"), "up");
    json_decref(report);
    upstream_state_free(&old);
    upstream_state_free(&new);
    upstream_config_clear(&before);
    upstream_config_clear(&after[0]);
    upstream_config_clear(&after[1]);
}

static void test_what_is_no_report_is_left_out(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "[1, null, {\"upstream\": 3}]", "[{\"upstream\": \"u\", \"servers\": [7, {\"server\": null}]}]",
        "[{\"upstream\": \"u\", \"servers\": [{\"server\": \"10.0.0.1:1\", \"admin\": \"x\", \"weight_set\": true, "
        "\"weight\": 9999, \"state\": 1, \"total\": -5, \"address\": \"10.0.0.1:1\"}]}]"};
    struct upstream_config config = make_config("u");
    add_server(&config, "10.0.0.1:1");
    struct upstream_state *shared = upstream_state_new(&config, 1, 1);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *report = json_loads(texts[i], 0, NULL);
        assert_non_null(report);
        upstream_report_restore(shared, report);
        json_decref(report);
    }
    json_t *report = upstream_report(shared);
    assert_string_equal(text(find(report, "10.0.0.1:1"), "admin"), "ready");
    assert_int_equal(number(find(report, "10.0.0.1:1"), "weight"), 1);
    assert_int_equal(number(find(report, "10.0.0.1:1"), "total"), 0);
    assert_null(json_object_get(find(report, "10.0.0.1:1"), "address"));
    json_decref(report);
    upstream_state_free(&shared);
    upstream_config_clear(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_set_is_reported),
        cmocka_unit_test(test_a_report_is_taken_over),
        cmocka_unit_test(test_what_is_no_report_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
