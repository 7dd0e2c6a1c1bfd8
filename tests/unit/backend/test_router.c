/* What the router and sessions do with stanzas, between shards and on one. */
#include "players.h"

enum { SESSIONS_PER_USER = 50 }; /* the default */

/* Two users who live on different shards. */
static const char *other_shard_user(void)
{
    static char bare[64];
    const struct shard *first = shard_of(&backend, "romeo@example.test");
    unsigned i = 0;
    do
        snprintf(bare, sizeof(bare), "juliet%u@example.test", i++);
    while (shard_of(&backend, bare) == first);
    return bare;
}

static void message_between_shards(void **state)
{
    struct client romeo, juliet;
    char text[256];
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&juliet, other_shard_user(), "b");
    snprintf(text, sizeof(text), "<message to='%s' id='1'><body>x</body></message>", juliet.stream.session->jid->full);
    assert_null(say(&romeo, text));
    assert_heard(&juliet, "from='romeo@example.test/a'");
    assert_silent(&romeo);
    leave(&romeo);
    leave(&juliet);
}

static void order_is_kept(void **state)
{
    struct client romeo, juliet;
    char text[256];
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&juliet, other_shard_user(), "b");
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof(text), "<message to='%s' id='%03d'/>", juliet.stream.session->jid->full, i);
        assert_null(session_receive(romeo.stream.session, parse(text)).condition);
    }
    settle();
    buf_append(&juliet.out, "", 1);
    const char *place = (const char *)buf_data(&juliet.out);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof(text), "id='%03d'", i);
        place = strstr(place, text);
        assert_non_null(place);
    }
    leave(&romeo);
    leave(&juliet);
}

static void what_others_send_to_a_held_user_is_bounded(void **state)
{
    enum { BODY = 100000, MESSAGES = 90 };
    struct client romeo, juliet;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&juliet, other_shard_user(), "b");
    const char *full = juliet.stream.session->jid->full;
    struct user *user = juliet.stream.session->user;
    char *text = malloc(BODY + 256);
    user_hold(user);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(text, BODY + 256, "<message to='%s' id='n%d'><body>%0*d</body></message>", full, i, BODY, 0);
        assert_null(say(&romeo, text));
    }
    assert_heard(&romeo, "resource-constraint");
    assert_silent(&juliet);
    user_resume(user);
    settle();
    buf_append(&juliet.out, "", 1);
    assert_non_null(strstr((const char *)buf_data(&juliet.out), "id='n70'"));
    assert_null(strstr((const char *)buf_data(&juliet.out), "id='n89'"));
    buf_free(&juliet.out);
    snprintf(text, BODY + 256, "<message to='%s' id='after'/>", full);
    assert_null(say(&romeo, text));
    assert_heard(&juliet, "id='after'");
    free(text);
    leave(&romeo);
    leave(&juliet);
}

/* What is sent faster than the other shard takes it is not lost; the sender is told to pause, until it was taken. */
static void a_shard_that_is_behind(void **state)
{
    struct client romeo, juliet;
    static char text[4096 + 128];
    unsigned sent = 0;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&juliet, other_shard_user(), "b");
    const char *bare = juliet.stream.session->jid->bare;
    const int len = snprintf(text, sizeof(text), "<message to='%s/b'><body>", bare);
    memset(text + len, 'x', 4096);
    strcpy(text + len + 4096, "</body></message>");
    const uint64_t before = counter_get(backend.counters, COUNTER_STANZAS_OUT);
    while (!romeo.stream.session->ahead) {
        assert_null(session_receive(romeo.stream.session, parse(text)).condition);
        assert_in_range(++sent, 1, 2000);
    }
    assert_in_range(sent, 500, 2000);
    assert_null(say(&romeo, "<message to='romeo@example.test/a'/>"));
    assert_false(romeo.stream.session->ahead); /* one's own shard is never ahead of itself */
    settle();
    assert_int_equal(counter_get(backend.counters, COUNTER_STANZAS_OUT), before + sent + 1);
    snprintf(text, sizeof(text), "<message to='%s/b'/>", bare);
    assert_null(say(&romeo, text));
    assert_false(romeo.stream.session->ahead);
    leave(&romeo);
    leave(&juliet);
}

static void faults_of_stanzas_are_answered(void **state)
{
    static const char *const rows[][2] = {
        {"<message to='@@' id='1'/>", "<jid-malformed"},
        {"<message to='juliet@elsewhere.test' id='1'/>", "<remote-server-not-found"},
        {"<message to='nobody@example.org/x' id='1'/>", "<service-unavailable"},
        {"<message to='example.test' id='1'/>", "<service-unavailable"},
        {"<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "<bad-request"},
        {"<iq type='get' id='1'/>", "<bad-request"},
        {"<iq id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "<bad-request"},
        {"<iq type='set' id='1'><a xmlns='y'/><b xmlns='y'/></iq>", "<bad-request"},
        {"<presence type='made-up'/>", "<bad-request"},
        {"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "from='romeo@example.test'/>"},
        {"<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'"},
    };
    static const char *const silent[] = {"<message to='@@' type='error'/>",
                                         "<iq to='@@' type='result' id='1'/>",
                                         "<iq type='result' id='1'/>",
                                         "<iq type='result' id='1'><a/><b/></iq>",
                                         "<iq type='error' id='1'><a/><b/></iq>",
                                         "<message to='juliet@elsewhere.test' type='error'/>",
                                         "<presence to='juliet@elsewhere.test' type='error'/>"};
    struct client romeo;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_null(say(&romeo, rows[i][0]));
        assert_heard(&romeo, rows[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        assert_null(say(&romeo, silent[i]));
        assert_silent(&romeo);
    }
    leave(&romeo);
}

static void faults_of_the_stream_are_told(void **state)
{
    static const char *const rows[][2] = {
        {"<message from='juliet@example.test' to='romeo@example.test'/>", "invalid-from"},
        {"<message from='romeo@example.test/b' to='romeo@example.test'/>", "invalid-from"},
        {"<message from='@@' to='romeo@example.test'/>", "invalid-from"},
        {"<foo/>", "unsupported-stanza-type"},
        {"<message xmlns='jabber:server'/>", "invalid-namespace"},
    };
    struct client romeo;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(say(&romeo, rows[i][0]), rows[i][1]);
    assert_null(say(&romeo, "<presence from='romeo@example.test'/>"));
    assert_null(say(&romeo, "<presence from='romeo@example.test/a'/>"));
    assert_heard(&romeo, "<presence from='romeo@example.test/a'");
    leave(&romeo);
}

static void language_of_the_stream_is_added(void **state)
{
    struct client romeo;
    char lang[] = "de";
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    romeo.stream.lang = lang;
    say(&romeo, "<message to='romeo@example.test/a'/>");
    assert_heard(&romeo, "xml:lang='de'");
    say(&romeo, "<message to='romeo@example.test/a' xml:lang='it'/>");
    assert_heard(&romeo, "xml:lang='it'");
    leave(&romeo);
}

static void newer_session_takes_the_resource(void **state)
{
    struct client old, new;
    (void)state;
    bind_as(&old, "romeo@example.test", "a");
    bind_as(&new, "romeo@example.test", "a");
    assert_string_equal(old.failed, "conflict");
    say(&new, "<message to='romeo@example.test/a' id='1'/>");
    assert_heard(&new, "id='1'");
    assert_silent(&old);
    assert_int_equal(atomic_load(&backend.sessions), 1);
    leave(&old);
    leave(&new);
    assert_int_equal(atomic_load(&backend.sessions), 0);
}

static void resources_are_made_up_and_counted(void **state)
{
    static struct client clients[SESSIONS_PER_USER + 1];
    (void)state;
    for (unsigned i = 0; i < SESSIONS_PER_USER; i++)
        assert_non_null(bind_as(&clients[i], "romeo@example.test", i % 2 ? NULL : ""));
    assert_string_not_equal(clients[0].stream.session->jid->resource, clients[1].stream.session->jid->resource);
    assert_null(bind_as(&clients[SESSIONS_PER_USER], "romeo@example.test", NULL));
    for (unsigned i = 0; i <= SESSIONS_PER_USER; i++)
        leave(&clients[i]);
    assert_null(user_find(shard_of(&backend, "romeo@example.test"), "romeo@example.test"));
}

static void changed_account_ends_its_streams(void **state)
{
    struct client romeo, juliet;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&juliet, other_shard_user(), "b");
    struct shard *owner = shard_of(&backend, "romeo@example.test");
    user_end_streams(owner, "romeo@example.test", "reset", NULL);
    settle();
    assert_string_equal(romeo.failed, "reset");
    assert_null(juliet.failed);
    leave(&romeo);
    leave(&juliet);
    /* remembered, for an exchange that is still under way */
    assert_true(user_find(owner, "romeo@example.test")->cut_off_ms > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_between_shards),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(a_shard_that_is_behind),
        cmocka_unit_test(faults_of_stanzas_are_answered),
        cmocka_unit_test(faults_of_the_stream_are_told),
        cmocka_unit_test(language_of_the_stream_is_added),
        cmocka_unit_test(newer_session_takes_the_resource),
        cmocka_unit_test(resources_are_made_up_and_counted),
        cmocka_unit_test(changed_account_ends_its_streams),
        cmocka_unit_test(what_others_send_to_a_held_user_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
