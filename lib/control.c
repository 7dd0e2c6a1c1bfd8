#include "lib/control.h"

#include "lib/buf.h"
#include "lib/control_socket.h"
#include "lib/fdpass.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONTROL_MAGIC = 0x6374726c,
    PEER_MAGIC = 0x63706565,
    REQUEST_MAGIC = 0x63726571,
    REQUEST_MAX_BYTES = 64 * 1024,
    PEERS_MAX = 32,
};

struct control {
    unsigned magic;
    struct loop *loop;
    const struct control_command *commands;
    size_t command_count;
    void *arg;
    struct list peers; /* struct control_peer */
    size_t peer_count;
    struct control_socket socket; /* fd -1: there is only the one peer of control_serve_fd */
    struct event *acceptable;     /* NULL likewise; off while there are PEERS_MAX peers */
    struct event *retry;          /* accepts again a while after descriptors ran out */
    void (*done)(void *arg);
    struct loop_deferred finished;
};

/* At most one request of a peer is under way; those after it wait in the input. */
struct control_peer {
    unsigned magic;
    struct list link;
    struct control *control;
    int fd;
    struct event *readable, *writable;
    struct buf in, out;
    int passed_fd; /* came with the request that is next, or under way; -1: none */
    bool ended;    /* nothing more is to be read: end of file, or we gave up on the input */
    struct control_request *current;
    struct loop_deferred work;
};

struct control_request {
    unsigned magic;
    struct control_peer *peer; /* NULL once the peer has left */
    json_t *root, *no_args;
};

static void control_finish(void *arg)
{
    struct control *c = arg;
    CHECK_MAGIC(c, CONTROL_MAGIC);
    if (c->done) c->done(c->arg);
}

static void peer_free(struct control_peer *p)
{
    struct control *c = p->control;
    if (p->current) p->current->peer = NULL;
    loop_defer_cancel(&p->work);
    event_free(p->readable);
    event_free(p->writable);
    close(p->fd);
    if (p->passed_fd >= 0) close(p->passed_fd);
    buf_free(&p->in);
    buf_free(&p->out);
    list_remove(&p->link);
    p->magic = 0;
    free(p);
    c->peer_count--;
    if (c->acceptable) event_add(c->acceptable, NULL);
}

/* The peer has left or was sent away. */
static void peer_close(struct control_peer *p)
{
    struct control *c = p->control;
    peer_free(p);
    if (!c->acceptable) loop_defer(c->loop, &c->finished);
}

static void peer_answer(struct control_peer *p, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    CHECK(text != NULL);
    buf_append_str(&p->out, text);
    buf_append(&p->out, "\n", 1);
    free(text);
    json_decref(answer);
    loop_defer(p->control->loop, &p->work);
}

static json_t *error_answer(const char *code, const char *text)
{
    json_t *answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "error", text, "code", code);
    /* jansson takes UTF-8 only, and a file name in the text need not be. */
    return answer ? answer
                  : json_pack("{s:b, s:s, s:s}", "ok", 0, "error", "the text of the error is not UTF-8", "code", code);
}

/* What follows a line that is no request cannot be trusted to be one. */
static void peer_refuse(struct control_peer *p, const char *text)
{
    p->ended = true;
    event_del(p->readable);
    buf_consume(&p->in, buf_len(&p->in));
    peer_answer(p, error_answer("usage", text));
}

static const struct control_command *find_command(const struct control *c, const char *name)
{
    for (size_t i = 0; i < c->command_count; i++)
        if (strcmp(c->commands[i].name, name) == 0) return &c->commands[i];
    return NULL;
}

static void peer_request(struct control_peer *p, const uint8_t *line, size_t len)
{
    json_error_t why;
    json_t *root = json_loadb((const char *)line, len, JSON_REJECT_DUPLICATES, &why);
    const char *name = json_string_value(json_object_get(root, "command"));
    const json_t *args = json_object_get(root, "args");
    if (!name || (args && !json_is_object(args))) {
        peer_refuse(p, "expected a line of JSON: {\"command\": \"…\", \"args\": {…}}");
        json_decref(root);
        return;
    }
    struct control_request *r = MEM_NEW(struct control_request);
    r->magic = REQUEST_MAGIC;
    r->peer = p;
    r->root = root;
    if (!args) r->no_args = json_object();
    p->current = r;
    const struct control_command *command = find_command(p->control, name);
    if (command)
        command->fn(r, p->control->arg);
    else
        control_fail(r, "usage", "unknown command \"%s\"", name);
}

/* Take the next request out of the input if none is under way. */
static void peer_next(struct control_peer *p)
{
    size_t len = buf_len(&p->in);
    if (p->current || len == 0) return;
    const uint8_t *data = buf_data(&p->in);
    const uint8_t *newline = memchr(data, '\n', len);
    size_t line_len = newline ? (size_t)(newline - data) : len;
    if (line_len > REQUEST_MAX_BYTES) {
        peer_refuse(p, "a request may have 65536 bytes");
        return;
    }
    if (!newline && !p->ended) return;
    uint8_t *line = mem_alloc(line_len + 1);
    memcpy(line, data, line_len);
    buf_consume(&p->in, line_len + (newline ? 1 : 0));
    loop_defer(p->control->loop, &p->work); /* for the line after this one */
    if (strspn((const char *)line, " \t\r") < line_len) peer_request(p, line, line_len);
    mem_wipe(line, line_len);
    free(line);
}

/* Returns false when the peer is gone. */
static bool peer_write(struct control_peer *p)
{
    while (buf_len(&p->out) > 0) {
        ssize_t n = send(p->fd, buf_data(&p->out), buf_len(&p->out), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            event_add(p->writable, NULL);
            return true;
        }
        if (n < 0) return false;
        buf_consume(&p->out, (size_t)n);
    }
    return true;
}

static void peer_work(void *arg)
{
    struct control_peer *p = arg;
    CHECK_MAGIC(p, PEER_MAGIC);
    peer_next(p);
    bool alive = peer_write(p);
    bool idle = !p->current && buf_len(&p->in) == 0 && buf_len(&p->out) == 0;
    if (!alive || (p->ended && idle)) {
        peer_close(p);
        return;
    }
    /* A peer that sends faster than we answer, or does not read, waits in its own socket. */
    bool full = buf_len(&p->in) > REQUEST_MAX_BYTES || buf_len(&p->out) > 0;
    if (full || p->ended)
        event_del(p->readable);
    else
        event_add(p->readable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct control_peer *p = arg;
    CHECK_MAGIC(p, PEER_MAGIC);
    size_t len = 0;
    int passed;
    const enum fdpass_status status = fdpass_recv(fd, buf_reserve(&p->in, 4096), 4096, &len, &passed);
    if (status == FDPASS_AGAIN) return;
    if (status == FDPASS_ERROR || status == FDPASS_TRUNCATED) {
        peer_close(p);
        return;
    }
    buf_commit(&p->in, len);
    if (status == FDPASS_EOF) p->ended = true;
    if (status == FDPASS_OK && passed >= 0) {
        if (p->passed_fd >= 0) close(p->passed_fd);
        p->passed_fd = passed;
    }
    peer_work(p);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    peer_work(arg);
}

static void peer_add(struct control *c, int fd)
{
    struct control_peer *p = MEM_NEW(struct control_peer);
    p->magic = PEER_MAGIC;
    p->control = c;
    p->fd = fd;
    p->passed_fd = -1;
    p->work.fn = peer_work;
    p->work.arg = p;
    p->readable = event_new(loop_base(c->loop), fd, EV_READ | EV_PERSIST, on_readable, p);
    p->writable = event_new(loop_base(c->loop), fd, EV_WRITE, on_writable, p);
    CHECK(p->readable && p->writable);
    list_append(&c->peers, &p->link);
    c->peer_count++;
    event_add(p->readable, NULL);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct control *c = arg;
    CHECK_MAGIC(c, CONTROL_MAGIC);
    if (c->peer_count < PEERS_MAX) event_add(c->acceptable, NULL);
}

static void on_acceptable(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    struct control *c = arg;
    CHECK_MAGIC(c, CONTROL_MAGIC);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        static const struct timeval pause = {.tv_sec = 1};
        if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED) return;
        event_del(c->acceptable);
        event_add(c->retry, &pause);
        return;
    }
    if (!control_socket_allows(&c->socket, fd)) {
        close(fd);
        return;
    }
    peer_add(c, fd);
    if (c->peer_count == PEERS_MAX) event_del(c->acceptable);
}

static struct control *control_new(struct loop *loop, const struct control_command *commands, size_t command_count,
                                   void *arg)
{
    struct control *c = MEM_NEW(struct control);
    c->magic = CONTROL_MAGIC;
    c->loop = loop;
    c->commands = commands;
    c->command_count = command_count;
    c->arg = arg;
    c->socket.fd = -1;
    c->finished.fn = control_finish;
    c->finished.arg = c;
    list_init(&c->peers);
    return c;
}

static struct control *serve_listener(struct control *c, const struct control_socket *listener)
{
    c->socket = *listener;
    c->acceptable = event_new(loop_base(c->loop), listener->fd, EV_READ | EV_PERSIST, on_acceptable, c);
    c->retry = evtimer_new(loop_base(c->loop), on_retry, c);
    CHECK(c->acceptable && c->retry);
    event_add(c->acceptable, NULL);
    return c;
}

struct control *control_listen(struct loop *loop, const char *path, const struct control_command *commands,
                               size_t command_count, void *arg, char *why, size_t cap)
{
    struct control_socket listener;
    if (control_socket_open(&listener, path, why, cap) < 0) return NULL;
    return serve_listener(control_new(loop, commands, command_count, arg), &listener);
}

struct control *control_adopt(struct loop *loop, int fd, const char *path, const struct control_command *commands,
                              size_t command_count, void *arg)
{
    struct control_socket listener;
    control_socket_adopt(&listener, fd, path);
    return serve_listener(control_new(loop, commands, command_count, arg), &listener);
}

int control_fd(const struct control *control)
{
    return control->socket.fd;
}

struct control *control_serve_fd(struct loop *loop, int fd, const struct control_command *commands,
                                 size_t command_count, void *arg, void (*done)(void *arg))
{
    struct control *c = control_new(loop, commands, command_count, arg);
    c->done = done;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    peer_add(c, fd);
    return c;
}

void control_free(struct control **control)
{
    struct control *c = *control;
    *control = NULL;
    if (c == NULL) return;
    CHECK_MAGIC(c, CONTROL_MAGIC);
    LIST_EACH (link, &c->peers) {
        peer_free(LIST_ENTRY(link, struct control_peer, link));
    }
    loop_defer_cancel(&c->finished);
    if (c->acceptable) event_free(c->acceptable);
    if (c->retry) event_free(c->retry);
    control_socket_close(&c->socket);
    c->magic = 0;
    free(c);
}

const json_t *control_args(const struct control_request *request)
{
    CHECK_MAGIC(request, REQUEST_MAGIC);
    return request->no_args ? request->no_args : json_object_get(request->root, "args");
}

const char *control_arg_str(const struct control_request *request, const char *name)
{
    return json_string_value(json_object_get(control_args(request), name));
}

int control_take_fd(struct control_request *request)
{
    CHECK_MAGIC(request, REQUEST_MAGIC);
    const int fd = request->peer ? request->peer->passed_fd : -1;
    if (fd >= 0) request->peer->passed_fd = -1;
    return fd;
}

static void request_end(struct control_request *r, json_t *answer)
{
    CHECK_MAGIC(r, REQUEST_MAGIC);
    if (r->peer) {
        r->peer->current = NULL;
        peer_answer(r->peer, answer);
    } else {
        json_decref(answer);
    }
    json_decref(r->root);
    json_decref(r->no_args);
    r->magic = 0;
    free(r);
}

void control_reply(struct control_request *request, json_t *result)
{
    json_t *answer = json_pack("{s:b, s:o}", "ok", 1, "result", result ? result : json_null());
    CHECK(answer != NULL);
    request_end(request, answer);
}

void control_fail(struct control_request *request, const char *code, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    request_end(request, error_answer(code, text));
}
