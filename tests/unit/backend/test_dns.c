#include "backend/dns.h"

#include "backend/dns_context.h"

#include "../dns_fixture.h"

static struct dns_fixture dns;
static struct loop *loop;
static struct mailbox *mailbox;
static struct dns *resolver;

static struct {
    enum dns_status status;
    bool secure;
    char canonical[256], why[256];
    uint8_t data[512];
    size_t len, count;
    unsigned calls;
} heard;

static void hear(const struct dns_answer *answer, void *arg)
{
    (void)arg;
    heard.status = answer->status;
    heard.secure = answer->secure;
    heard.count = answer->count;
    snprintf(heard.canonical, sizeof(heard.canonical), "%s", answer->canonical);
    snprintf(heard.why, sizeof(heard.why), "%s", answer->why);
    if (answer->count > 0) {
        heard.len = answer->records[0].len;
        memcpy(heard.data, answer->records[0].data, heard.len);
    }
    heard.calls++;
    loop_stop(loop);
}

static void ask(const char *name, enum dns_type type)
{
    memset(&heard, 0, sizeof(heard));
    assert_non_null(dns_ask(resolver, mailbox, name, type, hear, NULL));
    loop_run(loop);
    assert_int_equal(heard.calls, 1);
}

static void make(const char *options)
{
    struct backend_config *config = dns_fixture_config(&dns, options);
    if (resolver)
        dns_follow(resolver, config);
    else
        resolver = dns_new(config, loop, mailbox);
    backend_config_unref(&config);
}

static void make_with_servers(const char *more)
{
    char *options = mem_asprintf("servers = \"127.0.0.1:%u\" hosts = \"%s/hosts\" trust-anchor = \"%s/anchor\" %s",
                                 dns.port, dns.folder, dns.folder, more);
    make(options);
    free(options);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    mailbox = mailbox_new(loop);
    dns_fixture_set_up(&dns,
                       "a A 192.0.2.1\n"
                       "alias CNAME a\n"
                       "_xmpp-server._tcp.a SRV 5 6 5269 b\n"
                       "many A 192.0.2.1\nmany A 192.0.2.2\nmany A 192.0.2.3\n",
                       "@ A 192.0.2.9\n"
                       "broken A 192.0.2.10\n");
    dns_fixture_write(&dns, "hosts", "192.0.2.77 from-hosts.test\n");
    make_with_servers("timeout = 2s");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dns_stop(resolver);
    mailbox_drain(mailbox);
    dns_free(&resolver);
    mailbox_free(&mailbox);
    loop_free(&loop);
    dns_fixture_tear_down(&dns);
    return 0;
}

static void test_records(void **state)
{
    static const uint8_t SRV[] = {0, 5, 0, 6, 0x14, 0x95, 1, 'b', 4, 't', 'e', 's', 't', 0};
    (void)state;
    ask("a.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_false(heard.secure);
    assert_int_equal(heard.count, 1);
    assert_memory_equal(heard.data, "\xc0\x00\x02\x01", 4);
    assert_string_equal(heard.canonical, "a.test");
    ask("_xmpp-server._tcp.a.test", DNS_SRV);
    assert_int_equal(heard.len, sizeof(SRV));
    assert_memory_equal(heard.data, SRV, sizeof(SRV));
    ask("many.test", DNS_A);
    assert_int_equal(heard.count, 3);
    ask("alias.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_string_equal(heard.canonical, "a.test");
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    ask("nowhere.test", DNS_A);
    assert_int_equal(heard.status, DNS_NOT_FOUND);
    assert_string_equal(heard.why, "there is no such name");
    ask("a.test", DNS_AAAA);
    assert_int_equal(heard.status, DNS_NOT_FOUND);
    assert_string_equal(heard.why, "the name has no record of that type");
    ask("elsewhere.example", DNS_A); /* this server says REFUSED */
    assert_int_equal(heard.status, DNS_FAILED);
    ask("..", DNS_A);
    assert_int_equal(heard.status, DNS_NOT_FOUND);
    char longest[300];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    ask(longest, DNS_A);
    assert_int_equal(heard.status, DNS_NOT_FOUND);
}

static void test_onion_is_never_asked_for(void **state)
{
    static const char *const NAMES[] = {"x.onion", "a.x.ONION.", "onion", "onion."};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        ask(NAMES[i], DNS_A);
        assert_int_equal(heard.status, DNS_NOT_FOUND);
        assert_string_equal(heard.why, "names ending in .onion are not in DNS");
    }
}

static void test_hosts(void **state)
{
    (void)state;
    ask("from-hosts.test", DNS_A);
    assert_memory_equal(heard.data, "\xc0\x00\x02\x4d", 4);
    assert_false(heard.secure);
    dns_fixture_write(&dns, "hosts", "192.0.2.78 from-hosts.test # another one\n");
    do /* files are looked at once in a second */
        ask("from-hosts.test", DNS_A);
    while (heard.data[3] != 78);
}

static void test_validation(void **state)
{
    (void)state;
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_true(heard.secure);
    ask("nowhere.signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_NOT_FOUND);
    assert_true(heard.secure);
    make_with_servers("dnssec = false");
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_false(heard.secure);
}

/* Somebody has changed an address, and could not sign it. */
static void test_forgery(void **state)
{
    (void)state;
    dns_fixture_stop(&dns);
    char *command = mem_asprintf(
        "cd %s && sed -i 's/192.0.2.10/192.0.2.66/' signed.zone && grep -q 192.0.2.66 signed.zone", dns.folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): words of our own */
    free(command);
    dns_fixture_start(&dns);
    make_with_servers("dnssec = auto");
    ask("broken.signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_BOGUS);
    assert_int_equal(heard.count, 0);
    assert_false(heard.secure);
    assert_non_null(strstr(heard.why, "broken.signed.test"));
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_true(heard.secure);
    make_with_servers("dnssec = true");
    ask("broken.signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_BOGUS);
}

/* A name server that knows nothing of DNSSEC: with "auto" its answers are taken, and worth less. */
static void test_stripped(void **state)
{
    (void)state;
    dns_fixture_stop(&dns);
    char *command = mem_asprintf("cd %s && cp signed.zone kept && cp plain.zone signed.zone", dns.folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): words of our own */
    free(command);
    dns_fixture_start(&dns);
    make_with_servers("dnssec = auto");
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_false(heard.secure);
    make_with_servers("dnssec = true");
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_BOGUS);
}

static void test_no_anchor(void **state)
{
    (void)state;
    make_with_servers("dnssec = true");
    dns_fixture_write(&dns, "anchor", "this is not a key\n");
    make_with_servers("dnssec = true");
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_false(heard.secure);
    char path[128];
    snprintf(path, sizeof(path), "%s/anchor", dns.folder);
    assert_int_equal(unlink(path), 0);
    make_with_servers("dnssec = true");
    ask("signed.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
    assert_false(heard.secure);
}

static void test_resolv_conf_changes(void **state)
{
    char path[128], text[64];
    (void)state;
    snprintf(path, sizeof(path), "resolv-conf = \"%s/resolv.conf\" timeout = 500ms dnssec = false", dns.folder);
    dns_fixture_write(&dns, "resolv.conf", "search test\nnameserver [127.0.0.1]:9\n");
    make(path);
    ask("a.test", DNS_A);
    assert_int_equal(heard.status, DNS_FAILED);
    snprintf(text, sizeof(text), "# another network\nnameserver\nnameserver [127.0.0.1]:%u\n", dns.port);
    dns_fixture_write(&dns, "resolv.conf", text);
    for (int i = 0; i < 20 && heard.status != DNS_OK; i++)
        ask("a.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
}

static void test_silence_ends(void **state)
{
    (void)state;
    dns_fixture_stop(&dns);
    make_with_servers("timeout = 300ms dnssec = false");
    ask("a.test", DNS_A);
    assert_int_equal(heard.status, DNS_FAILED);
    dns_fixture_start(&dns);
    for (int i = 0; i < 100 && heard.status != DNS_OK; i++)
        ask("a.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
}

static void never(const struct dns_answer *answer, void *arg)
{
    (void)answer;
    (void)arg;
    fail_msg("a cancelled question was answered");
}

static void test_cancel(void **state)
{
    (void)state;
    make_with_servers("dnssec = false");
    for (int i = 0; i < 1000; i++) { /* more than are asked at once */
        char name[32];
        snprintf(name, sizeof(name), "x%d.test", i);
        struct dns_query *query = dns_ask(resolver, mailbox, name, DNS_A, never, NULL);
        dns_cancel(&query);
        assert_null(query);
    }
    struct dns_query *late = dns_ask(resolver, mailbox, "late.test", DNS_A, never, NULL);
    mailbox_drain(mailbox);
    dns_cancel(&late);
    ask("a.test", DNS_A);
    assert_int_equal(heard.status, DNS_OK);
}

static unsigned many_heard;
static char many_failed[128];

static void hear_many(const struct dns_answer *answer, void *arg)
{
    if (answer->status != DNS_NOT_FOUND) snprintf(many_failed, sizeof(many_failed), "%s", answer->why);
    assert_ptr_equal(arg, &many_heard);
    if (++many_heard == 500) loop_stop(loop);
}

static void test_many(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof(name), "y%d.test", i);
        (void)dns_ask(resolver, mailbox, name, DNS_A, hear_many, &many_heard);
    }
    loop_run(loop);
    assert_int_equal(many_heard, 500);
    if (*many_failed) fail_msg("%s", many_failed);
}

/* What is on its way when the server stops is answered. */
static void test_stop(void **state)
{
    (void)state;
    memset(&heard, 0, sizeof(heard));
    (void)dns_ask(resolver, mailbox, "before.test", DNS_A, hear, NULL);
    mailbox_drain(mailbox);
    (void)dns_ask(resolver, mailbox, "behind.test", DNS_A, hear, NULL);
    dns_stop(resolver);
    (void)dns_ask(resolver, mailbox, "after.test", DNS_A, hear, NULL);
    while (mailbox_drain(mailbox))
        continue;
    assert_int_equal(heard.calls, 3);
    assert_int_equal(heard.status, DNS_FAILED);
}

static void test_check(void **state)
{
    static const char *const BAD[] = {"servers = \"*:53\"", "servers = \"unix:/x\"",     "servers = \"127.0.0.1:0\"",
                                      "servers = \"*\"",    "servers = \"dns.example\"", "servers = \"\""};
    char error[512];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct backend_config *config = dns_fixture_config(&dns, BAD[i]);
        assert_int_equal(dns_context_check(config->file, error, sizeof(error)), -1);
        if (!strstr(error, "backend.conf:1: resolver: servers: expected addresses of")) fail_msg("%s", error);
        backend_config_unref(&config);
    }
    struct backend_config *config =
        dns_fixture_config(&dns, "servers = {\"127.0.0.1:53\", \"[::1]:53\", \"127.0.0.1\", \"::1\", \"[::1]\"}");
    assert_int_equal(dns_context_check(config->file, error, sizeof(error)), 0);
    backend_config_unref(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),    cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_hosts),      cmocka_unit_test(test_onion_is_never_asked_for),
        cmocka_unit_test(test_validation), cmocka_unit_test(test_forgery),
        cmocka_unit_test(test_stripped),   cmocka_unit_test(test_no_anchor),
        cmocka_unit_test(test_many),       cmocka_unit_test(test_resolv_conf_changes),
        cmocka_unit_test(test_cancel),     cmocka_unit_test(test_silence_ends),
        cmocka_unit_test(test_check),      cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
