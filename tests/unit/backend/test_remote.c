/* What becomes of stanzas for another server, over streams that only keep what is written to them. */
#define PLAYERS_HAVE_SERVERS

#include "backend/remote.h"

#include "backend/delay.h"
#include "backend/remote_attempt.h"
#include "backend/remote_backoff.h"
#include "backend/remote_route.h"
#include "backend/remote_waiting.h"
#include "backend/s2s_policy.h"
#include "backend/s2s_stream.h"
#include "lib/log.h"
#include "tests/unit/backend/players.h"

#define FAR "far.example"

/* What the other side is made to be. */
static struct {
    struct s2s_stream streams[16];
    struct peer_stream peers[16];
    struct buf out[16];
    unsigned begun;
    bool may_join, denied;
    size_t pending;
    struct s2s_policy policy;
} far;

static const struct s2s_policy POLICY = {.queue_messages = 1000, .queue_bytes = 1000000, .queue_age_ms = 1000000};

static unsigned number_of(const struct s2s_stream *stream)
{
    return (unsigned)(stream - far.streams);
}

bool s2s_policy_of(const struct hosts *all, const char *local, const char *remote, struct s2s_policy *policy,
                   enum s2s_failure *failure)
{
    (void)remote;
    *policy = far.policy;
    *failure = S2S_DENIED;
    return !far.denied && hosts_find(all, local);
}

struct s2s_stream *s2s_out_begin(struct remote *remote, const char *local, const struct s2s_trace *trace)
{
    (void)local;
    (void)trace;
    assert_in_range(far.begun, 0, ARRAY_LEN(far.streams) - 1);
    struct s2s_stream *stream = &far.streams[far.begun];
    stream->outgoing = true;
    stream->remote = remote;
    stream->peer = &far.peers[far.begun++];
    s2s_unacked_init(&stream->unacked, stream);
    list_append(&remote->streams, &stream->link);
    return stream;
}

bool s2s_out_join(struct s2s_stream *stream, const char *local)
{
    (void)stream;
    (void)local;
    return far.may_join;
}

bool s2s_stream_carries(const struct s2s_stream *stream, const char *local)
{
    return stream->state == S2S_OPEN && stream->local && strcmp(stream->local, local) == 0;
}

void s2s_stream_write(struct s2s_stream *stream, struct buf *buf)
{
    buf_append(&far.out[number_of(stream)], buf_data(buf), buf_len(buf));
    buf_free(buf);
}

size_t s2s_stream_pending(const struct s2s_stream *stream)
{
    (void)stream;
    return far.pending;
}

void s2s_stream_close(struct s2s_stream *stream, enum end_reason end)
{
    stream->state = S2S_CLOSING;
    stream->peer->end = end;
}

void s2s_stream_abort(struct s2s_stream *stream, enum end_reason end)
{
    s2s_stream_close(stream, end);
}

static char log_path[] = "/tmp/test_remote.XXXXXX";

/* The shard's thread is this one. */
static struct shard *owner(void)
{
    return shard_of(&backend, FAR);
}

static struct remote *remote(void)
{
    return remote_find(owner(), FAR);
}

static struct remote_route *route(void)
{
    struct remote *found = remote();
    return found ? remote_route_find(found, "example.test") : NULL;
}

static void up(unsigned i)
{
    far.streams[i].state = S2S_OPEN;
    remote_link_up(far.streams[i].remote, &far.streams[i], "example.test");
    settle();
}

/* As a stream ends: told, and then out of the list. */
static void gone(unsigned i, enum end_reason end)
{
    struct s2s_stream *stream = &far.streams[i];
    struct remote *mine = stream->remote;
    stream->state = S2S_ENDED;
    stream->peer->end = end;
    list_remove(&stream->link);
    remote_link_gone(mine, stream);
    remote_release(mine);
    settle();
}

static void failed(unsigned i, enum s2s_failure failure)
{
    remote_link_failed(far.streams[i].remote, "example.test", failure, NULL);
    gone(i, END_CLIENT_RESET);
}

static const char *written(unsigned i)
{
    static char text[65536];
    const size_t len = buf_len(&far.out[i]);
    assert_true(len < sizeof(text));
    if (len > 0) memcpy(text, buf_data(&far.out[i]), len);
    text[len] = '\0';
    buf_free(&far.out[i]);
    return text;
}

static void assert_written(unsigned i, const char *wanted)
{
    const char *text = written(i);
    if (!strstr(text, wanted)) fail_msg("no %s in \"%s\"", wanted, text);
}

static void tell(const char *text)
{
    struct elem *elem = parse(text);
    struct stanza *stanza = stanza_read(elem);
    assert_non_null(stanza);
    router_deliver(owner(), stanza);
    settle();
}

static void message(const char *id)
{
    char text[256];
    snprintf(text, sizeof(text),
             "<message from='romeo@example.test/orchard' to='juliet@" FAR "' id='%s'><body>b</body></message>", id);
    tell(text);
}

/* The numbers in the ids of the messages, as they were written. */
static void assert_ids(unsigned i, const char *wanted)
{
    char ids[1024] = "";
    size_t used = 0;
    const char *at = written(i);
    while ((at = strstr(at, "<message")) != NULL) {
        at = strstr(at, "id='") + 4;
        used += (size_t)snprintf(ids + used, sizeof(ids) - used, "%.*s ", (int)strcspn(at, "'"), at);
    }
    assert_string_equal(ids, wanted);
}

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    (void)id;
    (void)arg;
    assert_int_equal(status, STORE_OK);
}

static char stored[1024];

static void on_stored(enum store_status status, const struct store_entry *entries, size_t count, void *arg)
{
    size_t used = 0;
    (void)arg;
    assert_int_equal(status, STORE_OK);
    stored[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const char *id = strstr(entries[i].text, "id='") + 4;
        used += (size_t)snprintf(stored + used, sizeof(stored) - used, "%.*s ", (int)strcspn(id, "'"), id);
    }
}

static void assert_stored(const char *wanted)
{
    store_queue_get(backend.store, backend.shards[0]->mailbox, FAR " example.test", STORE_REMOTE, 0, 100, on_stored,
                    NULL);
    settle();
    assert_string_equal(stored, wanted);
}

/* Without stream management: the answer to the ping that stands behind what was written. */
/* The answer to a ping that has been written. */
static void answered(unsigned i)
{
    struct s2s_unacked *unacked = &far.streams[i].unacked;
    assert_non_null(unacked->ping);
    char *id = mem_strdup(unacked->ping);
    assert_true(s2s_unacked_pong(unacked, id));
    assert_false(s2s_unacked_pong(unacked, id));
    free(id);
    settle();
}

static void pong(unsigned i)
{
    s2s_unacked_on_ping(&far.streams[i].unacked.ping_later, owner());
    assert_written(i, "urn:xmpp:ping");
    answered(i);
}

static int scene(void **state)
{
    if (set_up(state) != 0) return -1;
    memset(&far, 0, sizeof(far));
    far.policy = POLICY;
    return 0;
}

/* No remote is left behind when its streams are gone and nothing waits. */
static int end_of_scene(void **state)
{
    for (unsigned i = 0; i < far.begun; i++) {
        if (list_linked(&far.streams[i].link)) gone(i, END_DONE);
        buf_free(&far.out[i]);
    }
    return tear_down(state);
}

/* Conforms: RFC 6120, 10.4.2: what comes before there is a stream goes out on it, in order */
static void waits_for_the_stream(void **state)
{
    (void)state;
    message("1");
    tell("<iq from='romeo@example.test/orchard' to='" FAR "' id='q' type='get'><query xmlns='q'/></iq>");
    message("2");
    assert_int_equal(far.begun, 1);
    assert_int_equal(route()->state, REMOTE_CONNECTING);
    up(0);
    const char *text = written(0);
    const char *one = strstr(text, "id='1'"), *iq = strstr(text, "id='q'"), *two = strstr(text, "id='2'");
    assert_true(one && iq && two && one < iq && iq < two);
    assert_stored("");
    pong(0);
    gone(0, END_DONE);
    assert_null(remote());
}

/* Messages that wait too long are rows, and go out first; what comes then joins them. */
static void slow_stream(void **state)
{
    (void)state;
    message("1");
    remote_waiting_on_promise(&route()->promise, owner());
    settle();
    assert_stored("1 ");
    message("2");
    assert_stored("1 2 ");
    up(0);
    assert_ids(0, "1 2 ");
    assert_stored("1 2 ");
    pong(0);
    assert_stored("");
    assert_int_equal(route()->queue.count, 0);
    assert_int_equal(route()->queue.bytes, 0);
}

/* live, down, queue, live: the order stays, and nothing that was confirmed comes again. */
static void lost_and_back(void **state)
{
    (void)state;
    message("1");
    up(0);
    pong(0);
    message("2");
    message("3");
    assert_stored("");
    gone(0, END_CLIENT_RESET);
    assert_stored("2 3 ");
    assert_int_equal(route()->state, REMOTE_DOWN);
    message("4"); /* and this causes an attempt */
    assert_int_equal(far.begun, 2);
    failed(1, S2S_CONNECT);
    message("5");
    assert_int_equal(far.begun, 2);
    assert_stored("2 3 4 5 ");
    assert_true(route()->failing);
    remote_retry(remote(), NULL);
    assert_int_equal(far.begun, 3);
    up(2);
    assert_false(route()->failing);
    message("6");
    assert_written(2, "urn:xmpp:delay");
    pong(2);
    assert_stored("");
    message("7");
    assert_ids(2, "7 ");
}

static void delayed_in_order(void **state)
{
    (void)state;
    message("1");
    failed(0, S2S_CONNECT);
    message("2");
    message("3");
    remote_retry(remote(), NULL);
    up(1);
    message("4");
    assert_ids(1, "1 2 3 4 ");
    assert_stored("1 2 3 "); /* and the fourth needs none */
}

/* What was not acknowledged for half a second is a row while the stream lives, and what overflows comes behind it. */
static void promise_while_live(void **state)
{
    (void)state;
    message("1");
    up(0);
    route()->queue.cursor = 0;
    struct s2s_unacked *unacked = &far.streams[0].unacked;
    s2s_unacked_store(unacked);
    settle();
    assert_stored("1 ");
    message("2");
    unacked->messages += S2S_WINDOW; /* no more room */
    message("3");
    message("4");
    assert_stored("1 2 3 4 ");
    assert_true(remote_is_slow(&backend, FAR));
    unacked->messages -= S2S_WINDOW;
    assert_ids(0, "1 2 ");
    answered(0); /* it was asked at once */
    assert_false(remote_is_slow(&backend, FAR));
    assert_ids(0, "3 4 ");
    assert_stored("3 4 ");
    gone(0, END_CLIENT_RESET);
    assert_stored("3 4 ");
    remote_retry(remote(), NULL);
    up(1);
    assert_ids(1, "3 4 ");
    pong(1);
    assert_stored("");
}

/* Conforms: XEP-0198, 5: a resumed stream is sent again what was not acknowledged, and behind it what waits */
static void resumed(void **state)
{
    (void)state;
    struct s2s_unacked parked = {0};
    struct buf again = {0};
    message("1");
    far.streams[0].unacked.by_ping = false;
    up(0);
    message("2");
    message("3");
    written(0);
    assert_true(s2s_unacked_ack(&far.streams[0].unacked, 1));
    assert_false(s2s_unacked_ack(&far.streams[0].unacked, 0));
    assert_false(s2s_unacked_ack(&far.streams[0].unacked, 4));
    s2s_unacked_init(&parked, NULL);
    s2s_unacked_move(&parked, &far.streams[0].unacked);
    gone(0, END_CLIENT_RESET);
    assert_stored("2 3 ");
    message("4"); /* causes another one, and waits behind them */
    assert_stored("2 3 4 ");
    assert_int_equal(far.begun, 2);
    s2s_unacked_move(&far.streams[1].unacked, &parked);
    assert_true(s2s_unacked_ack(&far.streams[1].unacked, 2));
    s2s_unacked_print(&far.streams[1].unacked, &again);
    s2s_stream_write(&far.streams[1], &again);
    up(1);
    assert_ids(1, "3 4 ");
    assert_true(s2s_unacked_ack(&far.streams[1].unacked, 4));
    settle();
    assert_stored("");
    assert_int_equal(route()->queue.count, 0);
}

/* A resumption that fails: all of it comes from the store, once. */
static void not_resumed(void **state)
{
    (void)state;
    struct s2s_unacked parked = {0};
    message("1");
    far.streams[0].unacked.by_ping = false;
    up(0);
    written(0);
    s2s_unacked_init(&parked, NULL);
    s2s_unacked_move(&parked, &far.streams[0].unacked);
    gone(0, END_CLIENT_RESET);
    remote_retry(remote(), NULL);
    s2s_unacked_end(&parked);
    settle();
    up(1);
    assert_ids(1, "1 ");
    pong(1);
    assert_stored("");
}

/* What makes no sense later is answered, in the words of the failure; and while nobody knows yet, it waits. */
static void what_is_not_kept(void **state)
{
    struct client romeo;
    (void)state;
    add_account("romeo@example.test");
    assert_non_null(enter(&romeo, "romeo@example.test", "orchard"));
    tell("<iq from='romeo@example.test/orchard' to='" FAR "' id='q' type='get'><query xmlns='q'/></iq>");
    tell("<message from='romeo@example.test/orchard' to='room@" FAR
         "' id='g' type='groupchat'><body>b</body></message>");
    tell("<message from='romeo@example.test/orchard' to='juliet@" FAR
         "' id='n'><body>b</body><no-store xmlns='urn:xmpp:hints'/></message>");
    tell("<presence from='romeo@example.test/orchard' to='room@" FAR "/nick' id='p'/>");
    tell("<presence from='romeo@example.test' to='juliet@" FAR "' id='s' type='subscribe'/>");
    assert_silent(&romeo);
    failed(0, S2S_CONNECT);
    const char *text = heard(&romeo);
    for (const char *const *id = (const char *const[]){"'q'", "'g'", "'n'", "'p'", NULL}; *id; id++)
        if (!strstr(text, *id)) fail_msg("no answer to %s: %s", *id, text);
    assert_non_null(strstr(text, "remote-server-timeout"));
    assert_null(strstr(text, "id='s'"));
    assert_stored("s ");
    assert_true(route()->presence_owed);
    leave(&romeo);
}

/* A failure without hope: everything is answered, also what has waited in the store; and for a time nothing is tried.
 */
static void no_hope(void **state)
{
    struct client romeo;
    (void)state;
    add_account("romeo@example.test");
    assert_non_null(enter(&romeo, "romeo@example.test", "orchard"));
    message("1");
    failed(0, S2S_CONNECT);
    message("2");
    assert_stored("1 2 ");
    remote_retry(remote(), NULL);
    message("3");
    failed(1, S2S_NOT_FOUND);
    settle();
    assert_stored("");
    const char *text = heard(&romeo);
    assert_non_null(strstr(text, "id='1'"));
    assert_non_null(strstr(text, "id='2'"));
    assert_non_null(strstr(text, "id='3'"));
    assert_non_null(strstr(text, "remote-server-not-found"));
    message("4");
    assert_int_equal(far.begun, 2);
    assert_heard(&romeo, "remote-server-not-found");
    leave(&romeo);
}

static void limits(void **state)
{
    struct client romeo;
    (void)state;
    add_account("romeo@example.test");
    assert_non_null(enter(&romeo, "romeo@example.test", "orchard"));
    far.policy.queue_messages = 2;
    message("1");
    failed(0, S2S_CONNECT);
    message("2");
    message("3");
    assert_stored("1 2 ");
    assert_heard(&romeo, "resource-constraint");
    far.policy.queue_messages = 100;
    far.policy.queue_bytes = route()->queue.bytes + 10;
    message("4");
    assert_stored("1 2 ");
    assert_heard(&romeo, "resource-constraint");
    leave(&romeo);
}

/* What is too old is returned, and what is younger stays. */
static void expired(void **state)
{
    struct client romeo;
    static const char OLD[] =
        "<message from='romeo@example.test/orchard' to='juliet@" FAR "' id='old'><body/></message>";
    (void)state;
    add_account("romeo@example.test");
    assert_non_null(enter(&romeo, "romeo@example.test", "orchard"));
    store_queue_add(backend.store, owner()->mailbox, FAR " example.test", STORE_REMOTE,
                    delay_now() - far.policy.queue_age_ms - 1, OLD, strlen(OLD), 0, on_added, NULL);
    settle();
    struct remote_route *found = remote_route_get(remote_get(owner(), FAR), "example.test");
    remote_attempt_found(found, 1, strlen(OLD), delay_now() - far.policy.queue_age_ms - 1, 60000);
    message("1");
    failed(0, S2S_CONNECT);
    settle();
    assert_stored("1 ");
    const char *text = heard(&romeo);
    assert_non_null(strstr(text, "id='old'"));
    assert_non_null(strstr(text, "remote-server-timeout"));
    leave(&romeo);
}

/* Likewise of what is read to be sent: it may have been too old for hours, when nobody could be reached. */
static void expired_when_it_is_sent(void **state)
{
    struct client romeo;
    static const char OLD[] =
        "<message from='romeo@example.test/orchard' to='juliet@" FAR "' id='old'><body/></message>";
    (void)state;
    add_account("romeo@example.test");
    assert_non_null(enter(&romeo, "romeo@example.test", "orchard"));
    store_queue_add(backend.store, owner()->mailbox, FAR " example.test", STORE_REMOTE,
                    delay_now() - far.policy.queue_age_ms - 1, OLD, strlen(OLD), 0, on_added, NULL);
    settle();
    remote_attempt_found(remote_route_get(remote_get(owner(), FAR), "example.test"), 1, strlen(OLD), delay_now(),
                         60000);
    message("1"); /* causes an attempt */
    up(0);
    settle();
    assert_ids(0, "1 ");
    assert_heard(&romeo, "remote-server-timeout");
    pong(0);
    assert_stored("");
    leave(&romeo);
}

/* What comes while rows are still on their way to a slow server goes behind them. */
static void joins_the_rows(void **state)
{
    (void)state;
    message("1");
    failed(0, S2S_CONNECT);
    message("2");
    far.pending = 2000000;
    remote_retry(remote(), NULL);
    up(1);
    message("3");
    assert_ids(1, "");
    assert_stored("1 2 3 ");
    far.pending = 0;
    remote_link_drained(remote(), &far.streams[1]);
    settle();
    assert_ids(1, "1 2 3 ");
    message("4"); /* nothing is before it any more */
    assert_ids(1, "4 ");
}

/* A second domain of ours on the same stream, where the other server lets it. */
static void two_of_ours(void **state)
{
    (void)state;
    message("1");
    up(0);
    far.may_join = true;
    tell("<message from='a@example.org/r' to='juliet@" FAR "' id='2'><body>b</body></message>");
    assert_int_equal(far.begun, 1);
    remote_link_up(remote(), &far.streams[0], "example.org");
    settle();
    assert_ids(0, "1 2 ");
    pong(0);
    tell("<message from='a@example.org/r' to='juliet@" FAR "' id='3'><body>b</body></message>");
    message("4");
    gone(0, END_CLIENT_RESET);
    assert_stored("4 ");
    far.may_join = false;
    remote_retry(remote(), NULL);
    assert_int_equal(far.begun, 3);
    remote_link_failed(remote(), "example.org", S2S_NOT_AUTHENTICATED, "no");
    settle();
    assert_int_equal(remote_route_find(remote(), "example.org")->state, REMOTE_DOWN);
    up(1 + (far.streams[1].local != NULL));
    assert_stored("4 ");
}

/* A join that is refused is no failure: there is another way. */
static void join_refused(void **state)
{
    (void)state;
    message("1");
    up(0);
    far.may_join = true;
    tell("<message from='a@example.org/r' to='juliet@" FAR "' id='2'><body>b</body></message>");
    remote_link_failed(remote(), "example.org", S2S_NOT_AUTHENTICATED, "no");
    settle();
    assert_int_equal(far.begun, 2);
    assert_int_equal(remote_route_find(remote(), "example.org")->state, REMOTE_CONNECTING);
    far.streams[1].state = S2S_OPEN;
    remote_link_up(remote(), &far.streams[1], "example.org");
    settle();
    assert_ids(1, "2 ");
}

/* The other server comes to us: it is tried at once, but not again and again. */
static void heard_of(void **state)
{
    (void)state;
    message("1");
    failed(0, S2S_CONNECT);
    route()->tried_ms -= 60000;
    remote_heard(backend.shards[0], FAR);
    settle();
    assert_int_equal(far.begun, 2);
    failed(1, S2S_NOT_AUTHENTICATED);
    remote_heard(backend.shards[0], FAR);
    settle();
    assert_int_equal(far.begun, 2);
}

/* When the server stops, what waits in memory is stored, and nothing is begun. */
static void stopping(void **state)
{
    (void)state;
    message("1");
    owner()->stopping = true;
    remotes_stop(owner());
    settle();
    assert_stored("1 ");
    message("2");
    assert_stored("1 2 ");
    failed(0, S2S_CONNECT);
    message("3");
    assert_stored("1 2 3 ");
    assert_int_equal(far.begun, 1);
    owner()->stopping = false;
}

/* Who left while the domain could not be reached is said to have left when it can be. */
static void farewells(void **state)
{
    (void)state;
    message("1");
    failed(0, S2S_CONNECT);
    tell("<presence from='romeo@example.test/orchard' to='juliet@" FAR "' type='unavailable'/>");
    tell("<presence from='romeo@example.test' to='juliet@" FAR "' type='probe'/>");
    remote_retry(remote(), NULL);
    up(1);
    const char *text = written(1);
    const char *first = strstr(text, "id='1'"), *leave_taking = strstr(text, "type='unavailable'");
    assert_true(first && leave_taking && first < leave_taking);
    assert_null(strstr(text, "probe"));
    assert_false(route()->presence_owed);
}

/* A server that does not read makes its senders pause. */
static void too_slow(void **state)
{
    (void)state;
    message("1");
    up(0);
    far.pending = 2000000;
    struct stanza *stanza = stanza_read(
        parse("<message from='romeo@example.test/orchard' to='juliet@" FAR "' id='2'><body>b</body></message>"));
    assert_non_null(stanza);
    assert_false(remote_deliver(owner(), stanza)); /* its sender is to pause */
    far.pending = 0;
    assert_ids(0, "1 2 ");
}

/* So does one that takes less than it is sent, so that the rest gathers in the store. */
static void too_many_rows(void **state)
{
    (void)state;
    message("1");
    up(0);
    far.pending = 2000000;
    remote_queue_enter(route(), 10, delay_now());
    route()->queue.behind = true;
    message("2");
    assert_false(remote_is_slow(&backend, FAR));
    route()->queue.count += S2S_WINDOW;
    message("3");
    assert_true(remote_is_slow(&backend, FAR));
    route()->queue.count -= S2S_WINDOW;
    remote_queue_left(route(), 1, 10);
    far.pending = 0;
    remote_link_drained(remote(), &far.streams[0]);
    settle();
    assert_false(remote_is_slow(&backend, FAR));
}

/* A domain that is not allowed any more: what waits is answered. */
static void denied(void **state)
{
    (void)state;
    message("1");
    failed(0, S2S_CONNECT);
    assert_stored("1 ");
    far.denied = true;
    remotes_follow(owner());
    settle();
    assert_stored("");
}

static void purged(void **state)
{
    (void)state;
    message("1");
    failed(0, S2S_CONNECT);
    remote_purge(remote(), "example.test", false);
    settle();
    assert_stored("");
    assert_int_equal(route()->queue.count, 0);
    remote_retry(remote(), NULL);
    up(1);
    message("2");
    assert_ids(1, "2 ");
}

/* A stream that is closed in order while nothing waits is no loss. */
static void closed_in_order(void **state)
{
    (void)state;
    tell("<iq from='romeo@example.test/orchard' to='" FAR "' id='q' type='get'><query xmlns='q'/></iq>");
    up(0);
    gone(0, END_DONE);
    assert_null(remote());
}

/* How many lines about it the log has had since the last time. */
static unsigned count_lines(const char *event)
{
    static long read;
    unsigned count = 0;
    char line[4096];
    FILE *file = fopen(log_path, "r");
    assert_non_null(file);
    fseek(file, read, SEEK_SET);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, event) != NULL;
    read = ftell(file);
    fclose(file);
    return count;
}

static void try_in_vain(enum s2s_failure failure, const char *why)
{
    remote_route_failed(route(), failure, why);
    settle();
}

/* A failure is told once, another reason for it after an hour, and another failure at once. */
static void what_the_log_says(void **state)
{
    (void)state;
    message("1");
    count_lines("");
    try_in_vain(S2S_CERTIFICATE, "it has expired");
    assert_int_equal(count_lines("event=s2s_failed"), 1);
    try_in_vain(S2S_CERTIFICATE, "it has expired");
    try_in_vain(S2S_CERTIFICATE, "it is self-signed");
    assert_int_equal(count_lines("event=s2s_failed"), 0);
    route()->told_ms -= 3600 * 1000;
    try_in_vain(S2S_CERTIFICATE, "it is self-signed");
    assert_int_equal(count_lines("why=\"it is self-signed\""), 1);
    try_in_vain(S2S_CONNECT, NULL);
    assert_int_equal(count_lines("event=s2s_failed"), 1);
    remote_retry(remote(), NULL);
    up(1);
    assert_int_equal(count_lines("event=s2s_recovered"), 1);
}

/* Who fails at many domains does not fill the disk, and what is left out is counted. */
static void lines_are_limited(void **state)
{
    (void)state;
    message("1");
    count_lines("");
    for (int i = 0; i < 60; i++)
        try_in_vain(i % 2 ? S2S_CONNECT : S2S_TIMEOUT, NULL);
    assert_int_equal(count_lines("event=s2s_failed"), 50);
    owner()->remotes->turn.since_ms -= 10000;
    try_in_vain(S2S_TLS, NULL);
    assert_int_equal(count_lines("left_out=10"), 1);
}

static void waits_longer_each_time(void **state)
{
    (void)state;
    assert_int_equal(remote_backoff_ms(1, 0), 5000);
    assert_in_range(remote_backoff_ms(1, UINT32_MAX), 9998, 10000);
    assert_int_equal(remote_backoff_ms(2, 0), 10000);
    assert_int_equal(remote_backoff_ms(10, 0), 30 * 60 * 1000);
    assert_in_range(remote_backoff_ms(UINT32_MAX, UINT32_MAX), 3599000, 3600000);
    for (int i = 0; i < 100; i++)
        assert_in_range(remote_backoff_below(10), 0, 9);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene, end_of_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(waits_for_the_stream),
        SCENE(slow_stream),
        SCENE(lost_and_back),
        SCENE(delayed_in_order),
        SCENE(promise_while_live),
        SCENE(resumed),
        SCENE(not_resumed),
        SCENE(what_is_not_kept),
        SCENE(no_hope),
        SCENE(limits),
        SCENE(expired),
        SCENE(expired_when_it_is_sent),
        SCENE(joins_the_rows),
        SCENE(two_of_ours),
        SCENE(join_refused),
        SCENE(heard_of),
        SCENE(stopping),
        SCENE(farewells),
        SCENE(too_slow),
        SCENE(too_many_rows),
        SCENE(denied),
        SCENE(purged),
        SCENE(closed_in_order),
        SCENE(what_the_log_says),
        SCENE(lines_are_limited),
        cmocka_unit_test(waits_longer_each_time),
    };
    const int fd = mkstemp(log_path);
    if (fd < 0 || log_setup(&(struct log_config){.path = log_path}, NULL) != 0) return 1;
    close(fd);
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(log_path);
    return failures;
}
