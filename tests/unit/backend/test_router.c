/* Sessions, router and shards together, over streams that only keep what is written to them.  All shards run on the
 * test's thread, one after the other. */
#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/stream.h"
#include "backend/stream_log.h"
#include "backend/stream_pace.h"
#include "backend/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHARDS = 4 };

static struct hosts *hosts;
static struct backend backend;

/* A stream that keeps what it is told. */
struct client {
    struct stream stream;
    struct buf out;
    const char *failed; /* the condition of stream_fail */
};

static struct client *client_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct client, stream);
}

void stream_send_elem(struct stream *stream, const struct elem *elem)
{
    elem_print(elem, NS_CLIENT, &client_of(stream)->out);
}

enum stream_state stream_fail(struct stream *stream, enum end_reason end, const char *condition, const char *text)
{
    (void)end;
    (void)text;
    client_of(stream)->failed = condition;
    if (stream->session) session_leave(stream->session);
    return STREAM_CLOSING;
}

const char *stream_lang(const struct stream *stream)
{
    return stream->lang;
}

void stream_random_id(char out[2 * STREAM_ID_BYTES + 1])
{
    static unsigned count;
    snprintf(out, 2 * STREAM_ID_BYTES + 1, "%032u", 10000000 + count++);
    memmove(out, out + 24, 8);
}

void stream_follow_hosts(struct stream *stream)
{
    (void)stream;
}

void stream_abort(struct stream *stream, enum end_reason end)
{
    stream_fail(stream, end, "abort", NULL);
}

void stream_on_hurry(struct deadline *deadline, void *shard)
{
    (void)deadline;
    (void)shard;
}

void stream_on_farewell_over(struct deadline *deadline, void *shard)
{
    (void)deadline;
    (void)shard;
}

void stream_write_buf(struct stream *stream, struct buf *buf)
{
    buf_append(&client_of(stream)->out, buf_data(buf), buf_len(buf));
    buf_free(buf);
}

void stream_write(struct stream *stream, const char *text)
{
    buf_append_str(&client_of(stream)->out, text);
}

enum stream_state stream_fail_with(struct stream *stream, enum end_reason end, const char *condition, const char *xml)
{
    (void)xml;
    return stream_fail(stream, end, condition, NULL);
}

void stream_advance(struct stream *stream, enum stream_state next)
{
    stream->state = next;
}

void stream_log_resumed(const struct stream *stream)
{
    (void)stream;
}

void stream_user_ready(struct stream *stream, bool ok)
{
    (void)stream;
    (void)ok;
}

void stream_pace_on_pause_over(struct deadline *deadline, void *shard)
{
    (void)deadline;
    (void)shard;
}

void stream_pace_on_idle(struct deadline *deadline, void *shard)
{
    (void)deadline;
    (void)shard;
}

void stream_pace_on_quiet(struct deadline *deadline, void *shard)
{
    (void)deadline;
    (void)shard;
}

void stream_pace_on_no_answer(struct deadline *deadline, void *shard)
{
    (void)deadline;
    (void)shard;
}

/* The handlers of streams in the namespace table are not what is tested here. */
void c2s_session_iq(struct shard *shard, const struct stanza *request)
{
    (void)shard;
    (void)request;
}

void c2s_bind_again_iq(struct shard *shard, const struct stanza *request)
{
    (void)shard;
    (void)request;
}

static void on_stop(void *arg)
{
    loop_stop(arg);
}

static void on_barrier(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    (void)jids;
    (void)count;
    assert_int_equal(status, STORE_OK);
    loop_stop(arg);
}

/* Let every shard read its mailbox, and the store answer, until nothing is on its way any more. */
static void settle(void)
{
    for (unsigned round = 0; round < 4; round++) {
        store_account_list(backend.store, backend.shards[0]->mailbox, NULL, on_barrier, backend.shards[0]->loop);
        loop_run(backend.shards[0]->loop);
        for (unsigned i = 0; i < SHARDS; i++) {
            mailbox_post(backend.shards[i]->mailbox, on_stop, backend.shards[i]->loop);
            loop_run(backend.shards[i]->loop);
        }
    }
}

enum { SESSIONS_PER_USER = 50 }; /* the default */

static struct session *bind_as(struct client *client, const char *bare, const char *resource)
{
    int error = 0;
    struct stream *stream = &client->stream;
    memset(client, 0, sizeof(*client));
    stream->shard = shard_of(&backend, bare);
    stream->bare = jid_parse(bare, strlen(bare), NULL);
    stream->host = hosts_find(shard_hosts(stream->shard), stream->bare->domain);
    stream->user = user_get(stream->shard, bare);
    stream->user->temporary = true;
    user_load(stream->user);
    list_append(&stream->user->streams, &stream->user_link);
    stream->session = session_bind(stream->user, stream, stream->bare, resource, &error);
    return stream->session;
}

static void leave(struct client *client)
{
    session_end(&client->stream.session);
    list_remove(&client->stream.user_link);
    user_release(client->stream.user);
    jid_free(&client->stream.bare);
    buf_free(&client->out);
}

static struct elem *parse(const char *text)
{
    static const char HEADER[] = "<stream:stream xmlns='jabber:client' xmlns:stream='" NS_STREAM "'>";
    struct xml *xml = xml_new(&XML_LIMITS_AUTHENTICATED);
    struct elem *elem = NULL;
    const uint8_t *data = (const uint8_t *)HEADER;
    size_t len = strlen(HEADER);
    assert_int_equal(xml_next(xml, &data, &len, &elem), XML_STREAM_START);
    elem_free(&elem);
    data = (const uint8_t *)text;
    len = strlen(text);
    assert_int_equal(xml_next(xml, &data, &len, &elem), XML_STANZA);
    xml_free(&xml);
    return elem;
}

static const char *say(struct client *client, const char *text)
{
    const struct session_fault fault = session_receive(client->stream.session, parse(text));
    settle();
    return fault.condition;
}

/* What a client was told since the last time. */
static const char *heard(struct client *client)
{
    static char text[8192];
    const size_t len = buf_len(&client->out);
    assert_true(len < sizeof(text));
    if (len > 0) memcpy(text, buf_data(&client->out), len);
    text[len] = '\0';
    buf_free(&client->out);
    return text;
}

static void assert_heard(struct client *client, const char *wanted)
{
    const char *text = heard(client);
    if (!strstr(text, wanted)) fail_msg("no %s in \"%s\"", wanted, text);
}

static void assert_silent(struct client *client)
{
    assert_string_equal(heard(client), "");
}

static int set_up(void **state)
{
    static char path[] = "/tmp/test_router.XXXXXX";
    char error[512];
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "host \"example.test\" { certificate = \"c\" key = \"k\" }\n"
                            "host \"example.org\" { certificate = \"c\" key = \"k\" }\n") > 0);
    close(fd);
    struct backend_config *config = MEM_NEW(struct backend_config);
    atomic_init(&config->refs, 1);
    config->auth_timeout_ms = 30000;
    config->file = option_load(path, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    assert_non_null(config->file);
    hosts = hosts_new(config, error, sizeof(error));
    assert_non_null(hosts);
    backend.config = config;
    backend_config_unref(&config);
    backend.counter_set = counters_new(BACKEND_COUNTER_ROWS, BACKEND_COUNTERS, 1);
    backend.counters = counters_block(backend.counter_set, "");
    shards_new(&backend, hosts, SHARDS);
    backend.store = store_open("memory", "", error, sizeof(error));
    assert_non_null(backend.store);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(&backend.store);
    shards_free(&backend);
    counters_free(&backend.counter_set);
    hosts_unref(&hosts);
    return 0;
}

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

static void message_to_bare_goes_to_the_most_available(void **state)
{
    struct client romeo, high, same, low, negative, absent;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&high, "juliet@example.test", "high");
    bind_as(&same, "juliet@example.test", "same");
    bind_as(&low, "juliet@example.test", "low");
    bind_as(&negative, "juliet@example.test", "negative");
    bind_as(&absent, "juliet@example.test", "absent");
    say(&high, "<presence><priority>5</priority></presence>");
    say(&same, "<presence><priority>5</priority></presence>");
    say(&low, "<presence/>");
    say(&negative, "<presence><priority>-1</priority></presence>");
    say(&romeo, "<message to='juliet@example.test' type='chat' id='1'/>");
    assert_heard(&high, "to='juliet@example.test'");
    assert_heard(&same, "id='1'");
    assert_silent(&low);
    assert_silent(&negative);
    assert_silent(&absent);
    say(&romeo, "<message to='juliet@example.test' type='headline' id='2'/>");
    assert_heard(&high, "id='2'");
    assert_heard(&low, "id='2'");
    assert_silent(&negative);
    heard(&same);
    say(&high, "<presence type='unavailable'/>");
    leave(&same);
    say(&romeo, "<message to='juliet@example.test' id='3'/>");
    assert_silent(&high);
    assert_heard(&low, "id='3'");
    leave(&low);
    say(&romeo, "<message to='juliet@example.test' id='4'/>");
    assert_heard(&romeo, "<service-unavailable");
    say(&romeo, "<message to='juliet@example.test' type='headline' id='5'/>");
    say(&romeo, "<message to='juliet@example.test' type='error' id='6'/>");
    assert_silent(&romeo);
    assert_silent(&negative);
    leave(&romeo);
    leave(&high);
    leave(&negative);
    leave(&absent);
}

/* RFC 6121 section 8.5.3 */
static void full_address(void **state)
{
    struct client romeo, juliet;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    bind_as(&juliet, "juliet@example.test", "b");
    say(&juliet, "<presence/>");
    say(&romeo, "<message to='juliet@example.test/gone' type='chat' id='1'/>");
    assert_heard(&juliet, "id='1'");
    say(&romeo, "<message to='juliet@example.test/gone' type='headline' id='2'/>");
    assert_silent(&juliet);
    say(&romeo, "<message to='juliet@example.test/gone' type='groupchat' id='3'/>");
    assert_silent(&juliet);
    assert_heard(&romeo, "<service-unavailable");
    say(&romeo, "<iq to='juliet@example.test/gone' type='get' id='4'><x xmlns='y'/></iq>");
    assert_heard(&romeo, "<service-unavailable");
    say(&romeo, "<iq to='juliet@example.test/gone' type='result' id='5'/>");
    assert_silent(&romeo);
    say(&romeo, "<iq to='juliet@example.test/b' type='get' id='6'><x xmlns='y'/></iq>");
    assert_heard(&juliet, "id='6'");
    say(&juliet, "<iq to='romeo@example.test/a' type='result' id='6'/>");
    assert_heard(&romeo, "from='juliet@example.test/b'");
    say(&romeo, "<presence to='juliet@example.test/b'/>");
    assert_silent(&juliet);
    leave(&romeo);
    leave(&juliet);
}

static void faults_of_stanzas_are_answered(void **state)
{
    static const char *const rows[][2] = {
        {"<message to='@@' id='1'/>", "<jid-malformed"},
        {"<message to='juliet@elsewhere.test' id='1'/>", "<remote-server-not-found"},
        {"<message to='nobody@example.org' id='1'/>", "<service-unavailable"},
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
    assert_silent(&romeo);
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
    user_end_streams(owner, "romeo@example.test", "reset");
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
        cmocka_unit_test(message_to_bare_goes_to_the_most_available),
        cmocka_unit_test(full_address),
        cmocka_unit_test(faults_of_stanzas_are_answered),
        cmocka_unit_test(faults_of_the_stream_are_told),
        cmocka_unit_test(language_of_the_stream_is_added),
        cmocka_unit_test(newer_session_takes_the_resource),
        cmocka_unit_test(resources_are_made_up_and_counted),
        cmocka_unit_test(changed_account_ends_its_streams),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
