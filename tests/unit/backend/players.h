/* players - sessions, router, shards and store together, over streams that only keep what is written to them.  All
 * shards run on the test's thread, one after the other.  Included by one file of each test program. */
#ifndef POSTERN_TESTS_UNIT_BACKEND_PLAYERS_H
#define POSTERN_TESTS_UNIT_BACKEND_PLAYERS_H

#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "backend/component.h"
#include "backend/dispatch.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "backend/router.h"
#include "backend/s2s_desk.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_resume.h"
#include "backend/s2s_stream.h"
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
    size_t pending;     /* what stream_pending says */
    const char *failed; /* the condition of stream_fail */
};

static inline struct client *client_of(struct stream *stream)
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

void stream_write_data(struct stream *stream, const void *data, size_t len)
{
    buf_append(&client_of(stream)->out, data, len);
}

void stream_write_buf(struct stream *stream, struct buf *buf)
{
    stream_write_data(stream, buf_data(buf), buf_len(buf));
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

size_t stream_pending(const struct stream *stream)
{
    return client_of((struct stream *)(uintptr_t)stream)->pending;
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

/* Components are not what is tested here. */
struct s2s_desk *s2s_desk_new(struct shard *shard)
{
    (void)shard;
    return NULL;
}

void s2s_desk_free(struct s2s_desk **desk)
{
    (void)desk;
}

void s2s_desk_follow(struct s2s_desk *desk)
{
    (void)desk;
}

void s2s_desk_stop(struct s2s_desk *desk)
{
    (void)desk;
}

void s2s_desk_abort(struct s2s_desk *desk)
{
    (void)desk;
}

struct component_desk *component_desk_new(struct shard *shard)
{
    (void)shard;
    return NULL;
}

void component_desk_free(struct component_desk **desk)
{
    (void)desk;
}

void component_desk_follow(struct component_desk *desk)
{
    (void)desk;
}

void component_desk_stop(struct component_desk *desk)
{
    (void)desk;
}

void component_desk_abort(struct component_desk *desk)
{
    (void)desk;
}

bool component_deliver(struct shard *shard, struct stanza *stanza)
{
    (void)shard;
    stanza_free(&stanza);
    return true;
}

/* Nor are other servers, but where the test says so: no host talks to them. */
#ifndef PLAYERS_HAVE_SERVERS
bool s2s_policy_of(const struct hosts *all, const char *local, const char *remote, struct s2s_policy *policy,
                   enum s2s_failure *failure)
{
    (void)all;
    (void)local;
    (void)remote;
    (void)policy;
    *failure = S2S_DISABLED;
    return false;
}

struct s2s_stream *s2s_out_begin(struct remote *remote, const char *local, const struct s2s_trace *trace)
{
    (void)remote;
    (void)local;
    (void)trace;
    fail();
    return NULL;
}

bool s2s_out_join(struct s2s_stream *stream, const char *local)
{
    (void)stream;
    (void)local;
    return false;
}

bool s2s_stream_carries(const struct s2s_stream *stream, const char *local)
{
    (void)stream;
    (void)local;
    return false;
}

void s2s_stream_write(struct s2s_stream *stream, struct buf *buf)
{
    (void)stream;
    buf_free(buf);
}

size_t s2s_stream_pending(const struct s2s_stream *stream)
{
    (void)stream;
    return 0;
}

void s2s_stream_close(struct s2s_stream *stream, enum end_reason end)
{
    (void)stream;
    (void)end;
}

void s2s_stream_abort(struct s2s_stream *stream, enum end_reason end)
{
    (void)stream;
    (void)end;
}
#endif

/* No stream between servers is resumed. */
bool s2s_stream_will_carry(const struct s2s_stream *stream, const char *local)
{
    (void)stream;
    (void)local;
    return false;
}

bool s2s_resume_waits(const struct remote *remote, const char *local, bool ours)
{
    (void)remote;
    (void)local;
    (void)ours;
    return false;
}

void s2s_resume_spend(struct remote *remote, const char *local)
{
    (void)remote;
    (void)local;
}

void s2s_sm_sent(struct s2s_stream *stream)
{
    (void)stream;
}

/* The handlers of streams in the namespace table are not, either. */
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

static inline void on_stop(void *arg)
{
    loop_stop(arg);
}

static inline void on_barrier(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    (void)jids;
    (void)count;
    assert_int_equal(status, STORE_OK);
    loop_stop(arg);
}

/* Let every shard read its mailbox, and the store answer, until nothing is on its way any more. */
static inline void settle(void)
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

static inline struct session *bind_to(struct client *client, const char *bare, const char *resource, bool account)
{
    int error = 0;
    struct stream *stream = &client->stream;
    memset(client, 0, sizeof(*client));
    stream->shard = shard_of(&backend, bare);
    stream->bare = jid_parse(bare, strlen(bare), NULL);
    stream->host = hosts_find(shard_hosts(stream->shard), stream->bare->domain);
    stream->user = user_get(stream->shard, bare);
    stream->user->temporary |= !account; /* and nothing is stored */
    list_append(&stream->user->streams, &stream->user_link);
    user_load(stream->user);
    settle();
    stream->session = session_bind(stream->user, stream, stream->bare, resource, &error);
    return stream->session;
}

/* A guest, about whom nothing is stored. */
static inline struct session *bind_as(struct client *client, const char *bare, const char *resource)
{
    return bind_to(client, bare, resource, false);
}

static inline void on_done(enum store_status status, void *arg)
{
    (void)arg;
    assert_int_equal(status, STORE_OK);
}

static inline void add_account(const char *bare)
{
    struct store_account account = {0};
    const char *at = strchr(bare, '@');
    snprintf(account.local, sizeof(account.local), "%.*s", (int)(at - bare), bare);
    snprintf(account.domain, sizeof(account.domain), "%s", at + 1);
    store_account_add(backend.store, backend.shards[0]->mailbox, &account, on_done, NULL);
    settle();
}

/* Somebody with an account. */
static inline struct session *enter(struct client *client, const char *bare, const char *resource)
{
    return bind_to(client, bare, resource, true);
}

static inline void leave(struct client *client)
{
    session_end(&client->stream.session);
    list_remove(&client->stream.user_link);
    user_release(client->stream.user);
    jid_free(&client->stream.bare);
    buf_free(&client->out);
}

static inline struct elem *parse(const char *text)
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

static inline const char *say(struct client *client, const char *text)
{
    const struct session_fault fault = session_receive(client->stream.session, parse(text));
    settle();
    return fault.condition;
}

/* What a client was told since the last time. */
static inline const char *heard(struct client *client)
{
    static char text[8192];
    const size_t len = buf_len(&client->out);
    assert_true(len < sizeof(text));
    if (len > 0) memcpy(text, buf_data(&client->out), len);
    text[len] = '\0';
    buf_free(&client->out);
    return text;
}

static inline void assert_heard(struct client *client, const char *wanted)
{
    const char *text = heard(client);
    if (!strstr(text, wanted)) fail_msg("no %s in \"%s\"", wanted, text);
}

static inline void assert_silent(struct client *client)
{
    assert_string_equal(heard(client), "");
}

static inline int set_up(void **state)
{
    char path[] = "/tmp/test_router.XXXXXX";
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

static inline int tear_down(void **state)
{
    (void)state;
    settle(); /* what is still being written */
    store_close(&backend.store);
    shards_free(&backend);
    counters_free(&backend.counter_set);
    hosts_unref(&hosts);
    return 0;
}

#endif
