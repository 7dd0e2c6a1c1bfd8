#include "bench/backend/session.h"

#include "bench/backend/login.h"
#include "bench/backend/manners.h"
#include "bench/common/generator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

enum {
    EVENTS = 512,
    CARRY_KEEP_BYTES = 4096, /* larger ones are given back when they are empty */
    STALL_SECONDS = 30,
    SHOWN_BYTES = 240, /* of a stanza, in a failure */
};

static struct session_options options_of_all;
static const struct handlers none, *handlers = &none;
static int epoll_fd = -1;
static struct session **by_user, **in_order;
static uint32_t by_user_cap, count, count_ready;
static char buffer[WIRE_BUFFER_BYTES];

void session_setup(const struct session_options *options)
{
    options_of_all = *options;
    wire_setup(&options->to, options->tls ? options->domain : NULL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll_create: %s", strerror(errno));
}

const struct session_options *session_options(void)
{
    return &options_of_all;
}

void session_handle(const struct handlers *wanted)
{
    handlers = wanted != NULL ? wanted : &none;
}

static void *grow(void *array, size_t items, size_t size)
{
    void *grown = realloc(array, items * size);
    if (grown == NULL) fail("out of memory");
    return grown;
}

struct session *session_find(uint32_t user)
{
    return user < by_user_cap ? by_user[user] : NULL;
}

struct session *session_of(uint32_t user)
{
    if (user >= by_user_cap) {
        uint32_t cap = 2 * user + 64;
        by_user = grow(by_user, cap, sizeof(struct session *));
        in_order = grow(in_order, cap, sizeof(struct session *));
        memset(by_user + by_user_cap, 0, (cap - by_user_cap) * sizeof(struct session *));
        by_user_cap = cap;
    }
    if (by_user[user] != NULL) return by_user[user];
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) fail("out of memory");
    session->user = user;
    session->index = count;
    session->wire.fd = -1;
    by_user[user] = in_order[count++] = session;
    return session;
}

struct session *session_at(uint32_t index)
{
    return index < count ? in_order[index] : NULL;
}

uint32_t session_ready(void)
{
    return count_ready;
}

void session_fail(const struct session *session, const char *what, struct text about)
{
    if (about.at == NULL) fail("user%u: %s", session->user, what);
    fail("user%u: %s: %.*s%s", session->user, what, (int)(about.len < SHOWN_BYTES ? about.len : SHOWN_BYTES), about.at,
         about.len > SHOWN_BYTES ? " ..." : "");
}

void session_open(struct session *session, int64_t due_ns)
{
    if (session->state != SESSION_CLOSED) session_fail(session, "it is logged in already", (struct text){NULL, 0});
    session->state = SESSION_LOGIN;
    session->since_ns = due_ns;
    session->sm = session->sm_asked = session->available = false;
    session->sm_in = session->sm_out = 0;
    session->carry_len = 0;
    login_begin(session);
    wire_open(&session->wire, epoll_fd, session);
}

void session_enter(struct session *session)
{
    session->state = SESSION_READY;
    count_ready++;
    if (handlers->ready != NULL) handlers->ready(session);
}

void session_leave(struct session *session)
{
    static const char end[] = "</stream:stream>";
    session->state = SESSION_LEAVING;
    count_ready--;
    if (session->sm) manners_acknowledge(session);
    session_say(session, end, sizeof(end) - 1);
}

static void on_closed(struct session *session)
{
    if (session->state != SESSION_LEAVING)
        session_fail(session, "the server closed the connection", (struct text){NULL, 0});
    wire_end(&session->wire, epoll_fd, session);
    wire_close(&session->wire);
    session->state = SESSION_CLOSED;
    session->available = false;
    if (handlers->closed != NULL) handlers->closed(session);
}

void session_say(struct session *session, const char *data, size_t len)
{
    wire_write(&session->wire, epoll_fd, session, data, len);
}

void session_send(struct session *session, const char *data, size_t len, uint32_t stanzas)
{
    static char joined[WIRE_BUFFER_BYTES];
    static const char ask[] = "<r xmlns='urn:xmpp:sm:3'/>";
    session->sm_out += stanzas;
    if (!session->sm || session->sm_asked || len + sizeof(ask) > sizeof(joined)) {
        session_say(session, data, len);
        return;
    }
    session->sm_asked = true;
    memcpy(joined, data, len);
    memcpy(joined + len, ask, sizeof(ask) - 1);
    session_say(session, joined, len + sizeof(ask) - 1);
}

static void on_stanza(struct session *session, struct arrival *arrival)
{
    struct text name = arrival->element.name;
    scan_stanza(arrival->element.tag, &arrival->stanza);
    session->sm_in++;
    if (text_is(name, TEXT("message"))) {
        if (handlers->message == NULL) session_fail(session, "a message that nobody awaits", arrival->element.all);
        handlers->message(session, arrival);
    } else if (text_is(name, TEXT("presence"))) {
        if (handlers->presence != NULL) handlers->presence(session, arrival);
    } else if (text_is(arrival->stanza.type, TEXT("get")) || text_is(arrival->stanza.type, TEXT("set"))) {
        manners_answer(session, arrival);
    } else {
        if (handlers->answer == NULL) session_fail(session, "an answer that nobody awaits", arrival->element.all);
        handlers->answer(session, arrival);
    }
}

static void on_element(struct session *session, struct arrival *arrival)
{
    struct text name = arrival->element.name;
    if (text_is(name, TEXT("stream:error"))) session_fail(session, "a stream error", arrival->element.all);
    if (session->state == SESSION_LOGIN)
        login_on_element(session, &arrival->element);
    else if (text_is(name, TEXT("message")) || text_is(name, TEXT("presence")) || text_is(name, TEXT("iq")))
        on_stanza(session, arrival);
    else
        manners_on_element(session, &arrival->element);
}

/* Keep what is not whole. */
static void keep(struct session *session, const char *data, size_t len)
{
    if (len > session->carry_cap) session->carry = grow(session->carry, session->carry_cap = len + 256, 1);
    if (len > 0) memcpy(session->carry, data, len);
    session->carry_len = len;
    if (len > 0 || session->carry_cap <= CARRY_KEEP_BYTES) return;
    free(session->carry);
    session->carry = NULL;
    session->carry_cap = 0;
}

/* All whole elements; returns how many bytes they were.  end: the stream's end tag was among them. */
static size_t take(struct session *session, size_t len, bool *end)
{
    struct arrival arrival = {.at_ns = now_ns()};
    size_t at = 0;
    while (session->wire.fd >= 0) {
        size_t used;
        struct text in = {buffer + at, len - at};
        enum scan_result result = scan_next(in, &arrival.element, &used);
        at += used;
        if (result == SCAN_BAD) session_fail(session, "not what a server may send", in);
        if (result == SCAN_MORE) break;
        if (result == SCAN_ELEMENT) on_element(session, &arrival);
        if (result == SCAN_HEADER && session->state != SESSION_LOGIN)
            session_fail(session, "a stream begins within a stream", in);
        if (result == SCAN_END) *end = true;
    }
    return at;
}

static void on_readable(struct session *session)
{
    size_t len = session->carry_len;
    bool end = false;
    if (len > 0) memcpy(buffer, session->carry, len);
    bool open = wire_read(&session->wire, buffer, &len);
    if (len == sizeof(buffer)) session_fail(session, "a stanza that is too long", (struct text){buffer, len});
    size_t used = take(session, len, &end);
    keep(session, buffer + used, len - used);
    if (end || !open)
        on_closed(session);
    else if (handlers->batch != NULL)
        handlers->batch(session);
}

static void on_event(struct session *session)
{
    const char *why = NULL;
    if (session->wire.fd < 0) return;
    bool connecting = session->wire.connecting;
    switch (wire_on_event(&session->wire, epoll_fd, session, &why)) {
    case WIRE_CLOSED:
        session_fail(session, why, (struct text){NULL, 0});
    case WIRE_PENDING:
        return;
    case WIRE_OPEN:
        break;
    }
    if (session->state == SESSION_LOGIN) login_on_open(session);
    if (!connecting) on_readable(session);
}

int session_turn(int64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    if (wait_ns < 0) wait_ns = 0;
    const struct timespec timeout = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    int n = epoll_pwait2(epoll_fd, events, EVENTS, &timeout, NULL);
    if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr != NULL) on_event(events[i].data.ptr);
    return n;
}

void session_wait(const char *what)
{
    if (session_turn(STALL_SECONDS * 1000000000LL) == 0) fail("nothing came for %d seconds: %s", STALL_SECONDS, what);
}

bool session_watch(int fd, bool on)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) == 0;
}
