/* What applies to one of our domains and another server's: options of the top level, of the host, of the closest remote
 * section. */
#include "backend/s2s_policy.h"
#include "lib/addr.h"
#include "tests/unit/hosts_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOST(domain, options) "host \"" domain "\" { certificate = \"c\" key = \"k\" " options " }\n"
#define OURS                  "example.test"
#define PIN                   "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ONION                 "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

static struct s2s_policy policy;
static enum s2s_failure failure;

static struct s2s_policy *of(struct hosts *hosts, const char *local, const char *remote)
{
    memset(&policy, 0xff, sizeof(policy));
    return s2s_policy_of(hosts, local, remote, &policy, &failure) ? &policy : NULL;
}

static void the_defaults_are_strict(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text(HOST(OURS, ""));
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_true(policy.encrypt && policy.secure && policy.dialback && policy.dane);
    assert_false(policy.onion);
    assert_null(policy.places);
    assert_null(policy.pins);
    assert_null(policy.proxy);
    assert_int_equal(policy.stanza_bytes, 512 * 1024);
    assert_int_equal(policy.stanza_rate, 0);
    assert_int_equal(policy.byte_rate, 10 * 1024 * 1024);
    assert_int_equal(policy.streams, 64);
    assert_int_equal(policy.idle_ms, 30 * 60 * 1000);
    assert_int_equal(policy.resume_ms, 10 * 60 * 1000);
    assert_int_equal(policy.queue_messages, 5000);
    assert_int_equal(policy.queue_bytes, 50 * 1024 * 1024);
    assert_int_equal(policy.queue_age_ms, INT64_C(7) * 86400 * 1000);
    hosts_unref(&hosts);
}

static void a_host_knows_better_than_the_top_level(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text("s2s-stanza-size = 100k s2s-idle-timeout = 1m s2s-dane = false\n" HOST(
        OURS, "") HOST("b.test", "s2s-stanza-size = 200k s2s-secure-auth = false") HOST("c.test", "s2s = false"));
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_int_equal(policy.stanza_bytes, 100 * 1024);
    assert_true(policy.secure);
    assert_non_null(of(hosts, "b.test", "example.net"));
    assert_int_equal(policy.stanza_bytes, 200 * 1024);
    assert_int_equal(policy.idle_ms, 60 * 1000);
    assert_false(policy.secure || policy.dane);
    assert_null(of(hosts, "c.test", "example.net"));
    assert_int_equal(failure, S2S_DISABLED);
    assert_null(of(hosts, "nobody.test", "example.net"));
    assert_int_equal(failure, S2S_DISABLED);
    assert_true(s2s_policy_serves(hosts, OURS));
    assert_false(s2s_policy_serves(hosts, "c.test"));
    assert_false(s2s_policy_serves(hosts, "nobody.test"));
    hosts_unref(&hosts);
}

static void a_component_is_under_its_host(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text(
        "s2s-stanza-size = 100k\nlistener \"x\" { address = \"127.0.0.1:5347\" serve = components }\n" HOST(
            OURS, "s2s-stanza-size = 200k")
            HOST("c.test", "s2s = false") "component \"chat.example.test\" { secret = \"12345678\" }\n"
                                          "component \"chat.c.test\" { secret = \"12345678\" }\ncomponent "
                                          "\"alone.test\" { secret = \"12345678\" }\n");
    assert_non_null(of(hosts, "chat.example.test", "example.net"));
    assert_int_equal(policy.stanza_bytes, 200 * 1024);
    assert_non_null(of(hosts, "alone.test", "example.net"));
    assert_int_equal(policy.stanza_bytes, 100 * 1024);
    assert_true(s2s_policy_serves(hosts, "alone.test"));
    assert_false(s2s_policy_serves(hosts, "chat.c.test"));
    hosts_unref(&hosts);
}

static void the_closest_of_the_lists_counts(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text(
        "s2s-insecure-domains = {\"*.example.net\", \"old.test\"} s2s-secure-domains = \"Chat.example.net\"\n"
        "s2s-deny = {\"*.spam.test\", \"spam.test\"}\n" HOST(OURS, "")
            HOST("b.test", "s2s-allow = {\"*.example.net\", \"good.spam.test\"} s2s-deny = \"*.spam.test\""));
    assert_true(of(hosts, OURS, "chat.example.net")->secure);
    assert_false(of(hosts, OURS, "other.example.net")->secure);
    assert_true(of(hosts, OURS, "example.net")->secure);
    assert_false(of(hosts, OURS, "old.test")->secure);
    assert_null(of(hosts, OURS, "spam.test"));
    assert_int_equal(failure, S2S_DENIED);
    assert_null(of(hosts, OURS, "a.b.spam.test"));
    assert_non_null(of(hosts, "b.test", "a.example.net"));
    assert_non_null(of(hosts, "b.test", "good.spam.test"));
    assert_null(of(hosts, "b.test", "bad.spam.test"));
    assert_null(of(hosts, "b.test", "example.net"));
    assert_int_equal(failure, S2S_DENIED);
    hosts_unref(&hosts);
}

static void the_closest_remote_section_counts(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text(HOST(
        OURS, "") "remote \"Example.net\" { address = {\"192.0.2.1\", \"[::1]:1\"} tls = direct pins = \"" PIN "\"\n"
                  "queue-messages = 1 queue-bytes = 2 queue-age = 3m stanza-size = 10000 stanza-rate = 4\n"
                  "byte-rate = 5 streams-per-domain = 6 idle-timeout = 0s resume-timeout = 8s dane = false }\n"
                  "remote \"*.example.net\" { secure-auth = false require-encryption = false }\n");
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_true(policy.secure && policy.encrypt);
    assert_false(policy.dane);
    assert_int_equal(policy.place_count, 2);
    assert_string_equal(policy.places[1].name, "::1");
    assert_int_equal(policy.places[0].port, 5270);
    assert_int_equal(policy.places[0].tls, S2S_TLS_DIRECT);
    assert_int_equal(policy.pin_count, 1);
    assert_int_equal(policy.pins[0][31], 31);
    assert_int_equal(policy.queue_messages, 1);
    assert_int_equal(policy.queue_bytes, 2);
    assert_int_equal(policy.queue_age_ms, 3 * 60 * 1000);
    assert_int_equal(policy.stanza_bytes, 10000);
    assert_int_equal(policy.stanza_rate, 4);
    assert_int_equal(policy.byte_rate, 5);
    assert_int_equal(policy.streams, 6);
    assert_int_equal(policy.idle_ms, 0);
    assert_int_equal(policy.resume_ms, 8000);
    assert_non_null(of(hosts, OURS, "a.example.net"));
    assert_false(policy.secure || policy.encrypt);
    assert_null(policy.places);
    assert_null(policy.pins);
    assert_non_null(of(hosts, OURS, "example.org"));
    assert_true(policy.secure);
    hosts_unref(&hosts);
}

static uint16_t proxy_port(void)
{
    return policy.proxy ? addr_port(&policy.proxy->ip) : 0;
}

static void onion_services_are_reached_by_the_proxy_alone(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text(HOST(OURS, "s2s-proxy = \"127.0.0.1:9050\" s2s-dialback = false") HOST(
        "b.test",
        "") "remote \"pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion\" { proxy = \"127.0.0.1:1\" }\n");
    assert_non_null(of(hosts, OURS, ONION));
    assert_true(policy.onion && policy.dialback);
    assert_false(policy.encrypt || policy.secure || policy.dane);
    assert_int_equal(proxy_port(), 9050);
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_false(policy.onion || policy.dialback);
    assert_int_equal(proxy_port(), 0);
    assert_non_null(of(hosts, "b.test", "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"));
    assert_int_equal(proxy_port(), 1);
    assert_null(of(hosts, "b.test", ONION));
    assert_int_equal(failure, S2S_NO_PROXY);
    hosts_unref(&hosts);
}

static void a_domain_may_be_mapped_to_an_onion_service(void **state)
{
    (void)state;
    struct hosts *hosts =
        hosts_of_text("s2s-proxy = \"127.0.0.1:9050\"\n" HOST(OURS, "") "remote \"example.net\" { onion = "
                                                                        "\"" ONION ":5270\" }\n");
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_true(policy.onion && policy.dialback);
    assert_false(policy.encrypt || policy.secure);
    assert_int_equal(policy.place_count, 1);
    assert_string_equal(policy.places[0].name, ONION);
    assert_int_equal(policy.places[0].port, 5270);
    assert_int_equal(proxy_port(), 9050);
    hosts_unref(&hosts);
}

static void the_proxy_may_be_for_all_or_for_some(void **state)
{
    (void)state;
    struct hosts *hosts =
        hosts_of_text("s2s-proxy = \"127.0.0.1:9050\" s2s-proxy-for = all\n" HOST(OURS, "")
                          HOST("b.test", "s2s-proxy-for = onion") "remote \"near.test\" { proxy = none }\n"
                                                                  "remote \"far.test\" { proxy = \"127.0.0.1:2\" }\n");
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_int_equal(proxy_port(), 9050);
    assert_true(policy.encrypt && policy.secure);
    assert_non_null(of(hosts, OURS, "near.test"));
    assert_int_equal(proxy_port(), 0);
    assert_non_null(of(hosts, "b.test", "example.net"));
    assert_int_equal(proxy_port(), 0);
    assert_non_null(of(hosts, "b.test", "far.test"));
    assert_int_equal(proxy_port(), 2);
    hosts_unref(&hosts);
}

static void a_host_behind_an_onion_address_hides_where_it_is(void **state)
{
    (void)state;
    struct hosts *hosts = hosts_of_text(HOST(ONION, "s2s-proxy = \"127.0.0.1:9050\"")
                                            HOST(OURS, "") "remote \"near.test\" { proxy = none }\n");
    assert_non_null(of(hosts, ONION, "example.net"));
    assert_int_equal(proxy_port(), 9050);
    assert_true(policy.encrypt && policy.secure);
    assert_non_null(of(hosts, ONION, "near.test"));
    assert_int_equal(proxy_port(), 0);
    assert_non_null(of(hosts, OURS, "example.net"));
    assert_int_equal(proxy_port(), 0);
    hosts_unref(&hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_strict),
        cmocka_unit_test(a_host_knows_better_than_the_top_level),
        cmocka_unit_test(a_component_is_under_its_host),
        cmocka_unit_test(the_closest_of_the_lists_counts),
        cmocka_unit_test(the_closest_remote_section_counts),
        cmocka_unit_test(onion_services_are_reached_by_the_proxy_alone),
        cmocka_unit_test(a_domain_may_be_mapped_to_an_onion_service),
        cmocka_unit_test(the_proxy_may_be_for_all_or_for_some),
        cmocka_unit_test(a_host_behind_an_onion_address_hides_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
