#include "backend/stanza_error.h"

#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* What came to the router, which this test stands in for. */
static struct stanza *routed;

bool router_deliver(struct shard *here, struct stanza *stanza)
{
    (void)here;
    assert_null(routed);
    routed = stanza;
    return true;
}

static struct jid *jid(const char *text)
{
    struct jid *parsed = jid_parse(text, strlen(text), NULL);
    assert_non_null(parsed);
    return parsed;
}

static struct stanza *request(const char *name, const char *type, const char *to)
{
    struct elem *elem = elem_new(arena_new(), NS_CLIENT, name);
    elem_set(elem, "id", "i1");
    elem_set(elem, "type", type);
    elem_add_text(elem_add(elem, NULL, "body"), "secret", 6);
    struct stanza *stanza = stanza_new(elem);
    assert_non_null(stanza);
    if (to) stanza_address(stanza, jid("romeo@example.test/orchard"), jid(to));
    return stanza;
}

static void kinds_and_types(void **state)
{
    (void)state;
    static const struct {
        const char *name, *type;
        enum stanza_kind kind;
        enum stanza_type wanted;
    } rows[] = {
        {"message", NULL, STANZA_MESSAGE, STANZA_NORMAL},
        {"message", "made-up", STANZA_MESSAGE, STANZA_NORMAL},
        {"message", "get", STANZA_MESSAGE, STANZA_NORMAL},
        {"message", "headline", STANZA_MESSAGE, STANZA_HEADLINE},
        {"message", "error", STANZA_MESSAGE, STANZA_ERROR},
        {"presence", NULL, STANZA_PRESENCE, STANZA_AVAILABLE},
        {"presence", "unavailable", STANZA_PRESENCE, STANZA_UNAVAILABLE},
        {"presence", "subscribe", STANZA_PRESENCE, STANZA_SUBSCRIBE},
        {"presence", "available", STANZA_PRESENCE, STANZA_WRONG},
        {"iq", NULL, STANZA_IQ, STANZA_WRONG},
        {"iq", "chat", STANZA_IQ, STANZA_WRONG},
        {"iq", "result", STANZA_IQ, STANZA_RESULT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stanza *stanza = request(rows[i].name, rows[i].type, NULL);
        assert_int_equal(stanza->kind, rows[i].kind);
        assert_int_equal(stanza->type, rows[i].wanted);
        stanza_free(&stanza);
        assert_null(stanza);
    }
}

static void other_elements_are_no_stanzas(void **state)
{
    (void)state;
    static const char *const others[][2] = {
        {NS_SERVER, "message"}, {NS_CLIENT, "messages"}, {"", "iq"}, {NS_SASL, "auth"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct elem *elem = elem_new(arena_new(), others[i][0], others[i][1]);
        assert_null(stanza_new(elem));
        elem_free(&elem);
    }
}

static void error_goes_back_without_the_content(void **state)
{
    (void)state;
    struct stanza *stanza = request("message", "chat", "juliet@example.test");
    struct stanza *answer = stanza_error_new(stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, "a <text>");
    struct buf out = {0};
    elem_print(answer->elem, NS_CLIENT, &out);
    buf_append(&out, "", 1);
    assert_string_equal(
        (const char *)buf_data(&out),
        "<message id='i1' type='error' to='romeo@example.test/orchard' from='juliet@example.test'>"
        "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a &lt;text&gt;</text></error></message>");
    assert_int_equal(answer->type, STANZA_ERROR);
    assert_string_equal(answer->to->full, "romeo@example.test/orchard");
    buf_free(&out);
    stanza_free(&answer);
    stanza_free(&stanza);
}

static void malformed_address_is_given_back_as_it_came(void **state)
{
    (void)state;
    struct stanza *stanza = request("iq", "get", NULL);
    stanza->from = jid("romeo@example.test/orchard");
    elem_set(stanza->elem, "to", "@@");
    struct stanza *answer = stanza_error_new(stanza, STANZA_ERROR_JID_MALFORMED, NULL);
    assert_string_equal(elem_get(answer->elem, "from"), "@@");
    assert_string_equal(elem_get(answer->elem, "to"), "romeo@example.test/orchard");
    assert_non_null(elem_child(elem_child(answer->elem, NS_CLIENT, "error"), NS_STANZAS, "jid-malformed"));
    stanza_free(&answer);
    stanza_free(&stanza);
}

static void never_an_error_in_answer_to_an_error(void **state)
{
    (void)state;
    static const char *const ends[][2] = {
        {"message", "error"}, {"iq", "error"}, {"iq", "result"}, {"presence", "error"}};
    counter_cell counters[BACKEND_COUNTERS] = {0};
    struct backend backend = {.counters = counters};
    struct shard shard = {.backend = &backend};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        stanza_error_bounce(&shard, request(ends[i][0], ends[i][1], "juliet@example.test"), STANZA_ERROR_BAD_REQUEST);
    assert_null(routed);
    assert_int_equal(counter_get(counters, COUNTER_STANZAS_DROPPED), ARRAY_LEN(ends));
    assert_int_equal(counter_get(counters, COUNTER_STANZA_ERRORS), 0);
    stanza_error_bounce(&shard, request("iq", "set", "juliet@example.test"), STANZA_ERROR_BAD_REQUEST);
    assert_non_null(routed);
    assert_int_equal(counter_get(counters, COUNTER_STANZA_ERRORS), 1);
    stanza_free(&routed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_types),
        cmocka_unit_test(other_elements_are_no_stanzas),
        cmocka_unit_test(error_goes_back_without_the_content),
        cmocka_unit_test(malformed_address_is_given_back_as_it_came),
        cmocka_unit_test(never_an_error_in_answer_to_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
