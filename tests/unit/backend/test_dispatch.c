/* The namespace table and the handlers of its rows: a request goes in, what they give to the router comes out. */
#include "backend/dispatch.h"

#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"
#include "backend/user.h"
#include "tests/unit/hosts_fixture.h"

#include <time.h>

static counter_cell counters[BACKEND_COUNTERS];
static struct backend backend = {.counters = counters};
static struct shard shard = {.backend = &backend};
static struct stanza *routed;

/* A stand-in for the router. */
bool router_deliver(struct shard *here, struct stanza *stanza)
{
    assert_ptr_equal(here, &shard);
    assert_null(routed);
    routed = stanza;
    return true;
}

static int make_hosts(void **state)
{
    (void)state;
    shard.hosts = hosts_fixture("");
    shard.users = map_new();
    user_get(&shard, "romeo@example.test");
    return 0;
}

static int drop_hosts(void **state)
{
    (void)state;
    user_free(user_find(&shard, "romeo@example.test"));
    map_free(&shard.users);
    hosts_unref(&shard.hosts);
    return 0;
}

static struct jid *jid(const char *text)
{
    struct jid *parsed = jid_parse(text, strlen(text), NULL);
    assert_non_null(parsed);
    return parsed;
}

/* The answer as text, to be freed; NULL: there was none. */
static char *ask(const char *type, const char *to, const char *ns, const char *name, const char *node)
{
    struct elem *iq = elem_new(arena_new(), NS_CLIENT, "iq");
    elem_set(iq, "id", "1");
    elem_set(iq, "type", type);
    if (ns) elem_set(elem_add(iq, ns, name), "node", node);
    struct stanza *stanza = stanza_new(iq);
    stanza_address(stanza, jid("romeo@example.test/orchard"), jid(to));
    dispatch_stanza(&shard, stanza, dispatch_scope_of(stanza));
    if (!routed) return NULL;
    assert_string_equal(elem_get(routed->elem, "id"), "1");
    assert_string_equal(elem_get(routed->elem, "to"), "romeo@example.test/orchard");
    assert_string_equal(elem_get(routed->elem, "from"), to);
    struct buf out = {0};
    elem_print(routed->elem, NS_CLIENT, &out);
    char *text = mem_strndup((const char *)buf_data(&out), buf_len(&out));
    buf_free(&out);
    stanza_free(&routed);
    return text;
}

static void expect(char *answer, const char *wanted)
{
    assert_non_null(answer);
    if (!strstr(answer, wanted)) fail_msg("no %s in %s", wanted, answer);
    free(answer);
}

static void who_is_asked_decides(void **state)
{
    (void)state;
    expect(ask("get", "example.test", NS_PING, "ping", NULL), "type='result'");
    expect(ask("get", "romeo@example.test", NS_PING, "ping", NULL), "type='result'");
    expect(ask("get", "juliet@example.test", NS_PING, "ping", NULL), "<service-unavailable");
    expect(ask("get", "example.test", "urn:unknown", "x", NULL), "<service-unavailable");
    expect(ask("set", "example.test", NS_PING, "ping", NULL), "<feature-not-implemented");
    expect(ask("get", "example.test", NULL, NULL, NULL), "<service-unavailable");
}

static void answers_are_not_answered(void **state)
{
    (void)state;
    assert_null(ask("result", "example.test", NS_PING, "ping", NULL));
    assert_null(ask("error", "romeo@example.test", NS_PING, "ping", NULL));
}

static void rows_call_their_handlers(void **state)
{
    (void)state;
    expect(ask("set", "example.test", NS_SESSION, "session", NULL), "type='result'");
    expect(ask("set", "example.test", NS_BIND, "bind", NULL), "<not-allowed");
}

static void disco_is_made_from_the_table(void **state)
{
    (void)state;
    expect(ask("get", "example.test", NS_DISCO_INFO, "query", NULL), "<identity category='server' type='im'");
    expect(ask("get", "example.test", NS_DISCO_INFO, "query", NULL), "<feature var='urn:xmpp:ping'/>");
    expect(ask("get", "romeo@example.test", NS_DISCO_INFO, "query", NULL), "category='account' type='registered'");
    expect(ask("get", "juliet@example.test", NS_DISCO_INFO, "query", NULL), "<service-unavailable");
    expect(ask("get", "example.test", NS_DISCO_INFO, "query", "n"), "<item-not-found");
    expect(ask("get", "example.test", NS_DISCO_INFO, "quarry", NULL), "<bad-request");
    expect(ask("get", "example.test", NS_DISCO_ITEMS, "query", NULL), "#items'/>");
    expect(ask("get", "example.test", NS_DISCO_ITEMS, "query", "n"), "<item-not-found");
    char *info = ask("get", "example.test", NS_DISCO_INFO, "query", NULL);
    assert_null(strstr(info, NS_SESSION));
    free(info);
}

/* Conforms: XEP-0092, 5: the operating system is told only when the administrator says so */
static void hosts_say_what_they_may(void **state)
{
    (void)state;
    struct hosts *quiet = shard.hosts;
    expect(ask("get", "example.test", NS_VERSION, "query", NULL), "<version>" POSTERN_VERSION "</version></query>");
    expect(ask("get", "example.test", NS_DISCO_INFO, "query", NULL), "<value>" POSTERN_VERSION "</value></field></x>");
    shard.hosts = hosts_fixture("announce-os = true announce-version = false contact-abuse = {\"mailto:a@b\", "
                                "\"xmpp:c@d\"}");
    expect(ask("get", "example.test", NS_VERSION, "query", NULL), "<version/><os>Linux ");
    expect(ask("get", "example.test", NS_DISCO_INFO, "query", NULL),
           "<field var='abuse-addresses'><value>mailto:a@b</value><value>xmpp:c@d</value></field></x>");
    expect(ask("get", "example.test", NS_DISCO_INFO, "query", NULL), "<field var='os'><value>Linux ");
    char *info = ask("get", "example.test", NS_DISCO_INFO, "query", NULL);
    assert_null(strstr(info, "software_version"));
    free(info);
    hosts_unref(&shard.hosts);
    shard.hosts = quiet;
}

static void time_and_uptime(void **state)
{
    (void)state;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    backend.started_s = now.tv_sec - 3600;
    char *answer = ask("get", "example.test", NS_LAST, "query", NULL);
    assert_true(strstr(answer, "seconds='3600'") || strstr(answer, "seconds='3601'"));
    free(answer);
    expect(ask("get", "example.test", NS_LAST, "quarry", NULL), "<bad-request");
    assert_int_equal(setenv("TZ", "NPT-05:45", 1), 0);
    tzset();
    expect(ask("get", "example.test", NS_TIME, "time", NULL), "<tzo>+05:45</tzo><utc>20");
    assert_int_equal(setenv("TZ", "NFT+02:30", 1), 0);
    tzset();
    expect(ask("get", "example.test", NS_TIME, "time", NULL), "<tzo>-02:30</tzo>");
    expect(ask("get", "example.test", NS_TIME, "clock", NULL), "<bad-request");
}

static void find_ping(const char *ns, uint64_t count, void *arg)
{
    if (strcmp(ns, NS_PING) == 0) *(uint64_t *)arg = count;
}

static void rows_count(void **state)
{
    (void)state;
    uint64_t before = 0, after = 0;
    dispatch_each_count(find_ping, &before);
    free(ask("get", "example.test", NS_PING, "ping", NULL));
    free(ask("set", "example.test", NS_PING, "ping", NULL));
    dispatch_each_count(find_ping, &after);
    assert_int_equal(after, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_asked_decides),
        cmocka_unit_test(answers_are_not_answered),
        cmocka_unit_test(rows_call_their_handlers),
        cmocka_unit_test(disco_is_made_from_the_table),
        cmocka_unit_test(hosts_say_what_they_may),
        cmocka_unit_test(time_and_uptime),
        cmocka_unit_test(rows_count),
    };
    return cmocka_run_group_tests(tests, make_hosts, drop_hosts);
}
