#include "gateway/channel.h"

#include "gateway/channel_packet.h"
#include "lib/fdpass.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CHANNEL_MAGIC = 0x4348414e,
    ASK_MAGIC = 0x41534b21,
    QUEUE_MAX = 256, /* packets that wait for a side that does not read */
};

struct queued_packet {
    struct list link;
    struct channel_packet packet;
};

struct channel {
    unsigned magic;
    int fd;
    struct event *readable, *writable;
    const struct channel_row *rows;
    size_t row_count;
    channel_gone_fn *gone;
    void *arg;
    struct list queue; /* struct queued_packet; the first waits for the socket */
    size_t queue_count;
    struct list awaited; /* struct awaited */
    json_int_t next_id;
};

/* What was asked; lives until the last answer has come, or the time is over. */
struct ask {
    unsigned magic;
    struct event *timer;
    json_t *answers;
    size_t missing;
    channel_answers_fn *fn;
    void *arg;
    struct awaited *awaited; /* one for each channel */
    size_t count;
};

/* One channel's part of it. */
struct awaited {
    struct list link; /* in the channel */
    struct ask *ask;
    json_int_t id;
};

static void ask_finish(struct ask *ask)
{
    for (size_t i = 0; i < ask->count; i++)
        list_remove(&ask->awaited[i].link);
    event_free(ask->timer);
    ask->fn(ask->answers, ask->arg);
    json_decref(ask->answers);
    free(ask->awaited);
    ask->magic = 0;
    free(ask);
}

/* result is borrowed; NULL: there will be none. */
static void ask_answered(struct awaited *awaited, json_t *result)
{
    struct ask *ask = awaited->ask;
    list_remove(&awaited->link);
    if (result != NULL) json_array_set(ask->answers, (size_t)(awaited - ask->awaited), result);
    if (--ask->missing == 0) ask_finish(ask);
}

static void on_answer(struct channel *channel, const json_t *message)
{
    json_t *id = json_object_get(message, "id");
    if (!json_is_integer(id)) return;
    LIST_EACH (link, &channel->awaited) {
        struct awaited *awaited = LIST_ENTRY(link, struct awaited, link);
        if (awaited->id != json_integer_value(id)) continue;
        ask_answered(awaited, json_object_get(message, "result"));
        return;
    }
}

/* Returns whether anyone knows the message. */
static bool dispatch(struct channel *channel, const json_t *message, int *fd)
{
    const char *type = json_string_value(json_object_get(message, "type"));
    if (strcmp(type, "answer") == 0) {
        on_answer(channel, message);
        return true;
    }
    for (size_t i = 0; i < channel->row_count; i++) {
        if (strcmp(channel->rows[i].type, type) != 0) continue;
        channel->rows[i].fn(channel, message, fd, channel->arg);
        return true;
    }
    return false;
}

static void end(struct channel *channel, const char *why)
{
    event_del(channel->readable);
    event_del(channel->writable);
    channel->gone(channel->arg, why);
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
    struct channel *channel = arg;
    char text[CHANNEL_PACKET_MAX_BYTES];
    size_t len = 0;
    int fd = -1;
    (void)what;
    CHECK_MAGIC(channel, CHANNEL_MAGIC);
    enum fdpass_status status = fdpass_recv((int)sock, text, sizeof(text), &len, &fd);
    if (status == FDPASS_AGAIN) return;
    if (status != FDPASS_OK) {
        end(channel, status == FDPASS_TRUNCATED ? "a message was cut" : NULL);
        return;
    }
    json_t *message = channel_packet_read(text, len, &fd);
    bool known = message != NULL && dispatch(channel, message, &fd);
    json_decref(message);
    if (fd >= 0) close(fd);
    if (!known) end(channel, message != NULL ? "a message of unknown type" : "what came is no message");
}

static void dequeue(struct channel *channel, struct queued_packet *queued)
{
    list_remove(&queued->link);
    channel->queue_count--;
    channel_packet_free(&queued->packet);
    free(queued);
}

static int send_packet(const struct channel *channel, const struct channel_packet *packet)
{
    return fdpass_send(channel->fd, packet->fd, packet->text, packet->len);
}

static bool would_wait(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ETOOMANYREFS;
}

static void on_writable(evutil_socket_t sock, short what, void *arg)
{
    struct channel *channel = arg;
    (void)sock, (void)what;
    CHECK_MAGIC(channel, CHANNEL_MAGIC);
    LIST_EACH (link, &channel->queue) {
        struct queued_packet *queued = LIST_ENTRY(link, struct queued_packet, link);
        if (send_packet(channel, &queued->packet) < 0 && would_wait(errno)) return;
        dequeue(channel, queued); /* sent, or the other side has ended, which on_readable finds out */
    }
    event_del(channel->writable);
}

struct channel *channel_new(struct loop *loop, int fd, const struct channel_row *rows, size_t row_count,
                            channel_gone_fn *gone, void *arg)
{
    struct channel *channel = MEM_NEW(struct channel);
    channel->magic = CHANNEL_MAGIC;
    channel->fd = fd;
    channel->rows = rows;
    channel->row_count = row_count;
    channel->gone = gone;
    channel->arg = arg;
    list_init(&channel->queue);
    list_init(&channel->awaited);
    channel->readable = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, channel);
    channel->writable = event_new(loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_writable, channel);
    CHECK(channel->readable != NULL && channel->writable != NULL);
    event_add(channel->readable, NULL);
    return channel;
}

void channel_free(struct channel **channel)
{
    struct channel *old = *channel;
    *channel = NULL;
    if (old == NULL) return;
    CHECK_MAGIC(old, CHANNEL_MAGIC);
    struct list *first;
    while ((first = list_first(&old->awaited)) != NULL)
        ask_answered(LIST_ENTRY(first, struct awaited, link), NULL);
    LIST_EACH (link, &old->queue)
        dequeue(old, LIST_ENTRY(link, struct queued_packet, link));
    event_free(old->readable);
    event_free(old->writable);
    close(old->fd);
    old->magic = 0;
    free(old);
}

int channel_fd(const struct channel *channel)
{
    return channel->fd;
}

static int enqueue(struct channel *channel, struct channel_packet *packet)
{
    if (channel->queue_count == QUEUE_MAX) {
        errno = ENOBUFS;
        return -1;
    }
    struct queued_packet *queued = MEM_NEW(struct queued_packet);
    queued->packet = *packet;
    *packet = (struct channel_packet){.fd = -1};
    list_append(&channel->queue, &queued->link);
    channel->queue_count++;
    event_add(channel->writable, NULL);
    return 0;
}

int channel_send(struct channel *channel, json_t *message, int fd)
{
    CHECK_MAGIC(channel, CHANNEL_MAGIC);
    CHECK(json_is_string(json_object_get(message, "type")));
    struct channel_packet packet;
    int rc = channel_packet_make(&packet, message, fd);
    json_decref(message);
    if (rc < 0) return -1;
    rc = -1;
    if (channel->queue_count == 0) rc = send_packet(channel, &packet);
    if (rc < 0 && (channel->queue_count > 0 || would_wait(errno))) rc = enqueue(channel, &packet);
    int saved = errno;
    channel_packet_free(&packet);
    errno = saved;
    return rc;
}

void channel_answer(struct channel *channel, const json_t *message, json_t *result)
{
    json_t *id = json_object_get(message, "id");
    json_t *answer = json_pack("{s:s, s:O*, s:o*}", "type", "answer", "id", id, "result", result);
    if (id == NULL)
        json_decref(answer);
    else
        (void)channel_send(channel, answer, -1); /* who asked has a limit on its patience */
}

static void on_ask_timer(evutil_socket_t fd, short what, void *arg)
{
    struct ask *ask = arg;
    (void)fd, (void)what;
    CHECK_MAGIC(ask, ASK_MAGIC);
    ask_finish(ask);
}

static bool ask_one(struct channel *channel, struct awaited *awaited, json_t *message)
{
    awaited->id = channel->next_id++;
    json_object_set_new(message, "id", json_integer(awaited->id));
    if (channel_send(channel, json_incref(message), -1) < 0) return false;
    list_append(&channel->awaited, &awaited->link);
    return true;
}

void channel_ask(struct loop *loop, struct channel *const *channels, size_t count, json_t *message, int64_t timeout_ms,
                 channel_answers_fn *fn, void *arg)
{
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct ask *ask = MEM_NEW(struct ask);
    ask->magic = ASK_MAGIC;
    ask->fn = fn;
    ask->arg = arg;
    ask->count = count;
    ask->awaited = mem_alloc((count + 1) * sizeof(*ask->awaited));
    ask->answers = json_array();
    ask->timer = evtimer_new(loop_base(loop), on_ask_timer, ask);
    CHECK(ask->timer != NULL);
    for (size_t i = 0; i < count; i++) {
        ask->awaited[i].ask = ask;
        json_array_append_new(ask->answers, json_null());
        if (ask_one(channels[i], &ask->awaited[i], message)) ask->missing++;
    }
    json_decref(message);
    if (ask->missing == 0)
        ask_finish(ask);
    else
        evtimer_add(ask->timer, &timeout);
}
