/* The hosts of a configuration: names, administrators, and a snapshot that lives as long as somebody points into it. */
#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "backend/host.h"
#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES "certificate = \"c\" key = \"k\" "

static char error[512];

static struct hosts *load(const char *text)
{
    char path[] = "/tmp/test_host.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    struct backend_config *config = MEM_NEW(struct backend_config);
    atomic_init(&config->refs, 1);
    config->file = option_load(path, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    assert_non_null(config->file);
    struct hosts *hosts = hosts_new(config, error, sizeof(error));
    backend_config_unref(&config);
    return hosts;
}

static void assert_refused(const char *text, const char *why)
{
    assert_null(load(text));
    if (!strstr(error, why)) fail_msg("no \"%s\" in \"%s\"", why, error);
}

static void hosts_are_found_by_domain(void **state)
{
    (void)state;
    struct hosts *hosts = load("host \"Example.com\" { " FILES "server-names = \"xmpps.example.com\" }\n"
                               "host \"bücher.example\" { " FILES "}\n");
    assert_non_null(hosts);
    assert_non_null(hosts_find(hosts, "example.com"));
    assert_null(hosts_find(hosts, "xmpps.example.com"));
    assert_string_equal(hosts_by_server_name(hosts, "xmpps.example.com.")->domain, "example.com");
    assert_string_equal(hosts_by_server_name(hosts, "XN--BCHER-KVA.example")->domain, "bücher.example");
    assert_string_equal(hosts_by_server_name(hosts, NULL)->domain, "example.com");
    hosts_unref(&hosts);
    assert_null(hosts);
}

static void admins_are_prepared_addresses(void **state)
{
    (void)state;
    struct hosts *hosts =
        load("host \"a.example\" { " FILES "admins = {\"zoe@a.example\", \"Ann@A.example\", \"bob@b.example\"} }\n"
             "host \"b.example\" { " FILES "}\n");
    assert_non_null(hosts);
    const struct host *host = hosts_find(hosts, "a.example");
    assert_true(host_is_admin(host, "ann@a.example"));
    assert_true(host_is_admin(host, "bob@b.example"));
    assert_true(host_is_admin(host, "zoe@a.example"));
    assert_false(host_is_admin(host, "eve@a.example"));
    assert_false(host_is_admin(hosts_find(hosts, "b.example"), "ann@a.example"));
    hosts_unref(&hosts);
}

static void faults_name_their_line(void **state)
{
    (void)state;
    assert_refused(
        "host \"a.example\" { " FILES "admins = \"a.example\" }\n",
        ":1: host \"a.example\": admins: expected addresses such as \"user@example.com\", not \"a.example\"");
    assert_refused("host \"a.example\" { " FILES "admins = \"a@a.example/x\" }\n", "admins: expected");
    assert_refused("host \"a.example\" { " FILES "admins = \"@\" }\n", "admins: expected");
    assert_refused("host \"a.example\" { " FILES "}\nhost \"A.example\" { " FILES "}\n", "has a section already");
    assert_refused("host \"a.example\" { " FILES "}\nhost \"b.example\" { " FILES "server-names = \"a.example\" }\n",
                   "belongs to host \"a.example\" already");
}

/* The old snapshot is still there for who points to one of its hosts. */
static void who_points_keeps_the_snapshot(void **state)
{
    (void)state;
    struct hosts *old = load("host \"a.example\" { " FILES "}\n"), *new = load("host \"a.example\" { " FILES "}\n");
    const struct host *mine = NULL;
    host_point(&mine, hosts_find(old, "a.example"));
    host_point(&mine, mine);
    hosts_unref(&old);
    assert_string_equal(mine->domain, "a.example");
    assert_string_equal(option_title(mine->section), "a.example");
    host_point(&mine, hosts_find(new, "a.example"));
    hosts_unref(&new);
    assert_string_equal(mine->domain, "a.example");
    host_point(&mine, NULL);
    assert_null(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_found_by_domain),
        cmocka_unit_test(admins_are_prepared_addresses),
        cmocka_unit_test(faults_name_their_line),
        cmocka_unit_test(who_points_keeps_the_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
