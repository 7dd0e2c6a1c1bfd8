#include "lib/control.h"

#include "lib/fdpass.h"
#include "lib/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CALL_TIMEOUT_MS = 30000, ANSWER_MAX_BYTES = 64 << 20 };

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait until fd is ready or the time of the whole call is over (errno is ETIMEDOUT); until_ms 0: it never is. */
static int wait_for(int fd, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, until_ms == 0 ? -1 : left > 0 ? (int)left : 0);
        if (n > 0) return 0;
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ETIMEDOUT;
        return -1;
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof un.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(un.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)&un, sizeof un) == 0) return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int send_all(int fd, const char *data, size_t len, int64_t until_ms)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, until_ms) == 0) continue;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* One line; free() it.  NULL and errno: EPIPE when the server closed without an answer. */
static char *recv_line(int fd, size_t *len, int64_t until_ms)
{
    size_t room = 4096;
    char *line = mem_alloc(room);
    *len = 0;
    for (;;) {
        ssize_t n = recv(fd, line + *len, room - *len, MSG_DONTWAIT);
        if (n > 0) {
            *len += (size_t)n;
            if (line[*len - 1] == '\n') return line;
            if (*len == room) line = mem_realloc(line, room *= 2);
            if (*len <= ANSWER_MAX_BYTES) continue;
            errno = EMSGSIZE;
            break;
        }
        if (n == 0) {
            errno = EPIPE;
            break;
        }
        if (errno == EINTR || (errno == EAGAIN && wait_for(fd, POLLIN, until_ms) == 0)) continue;
        break;
    }
    int saved = errno;
    free(line);
    errno = saved;
    return NULL;
}

/* The request as a line; free() it.  args may be NULL. */
static char *make_request(const char *command, json_t *args)
{
    json_t *request = json_pack("{s:s}", "command", command);
    CHECK(request != NULL);
    if (args) json_object_set(request, "args", args);
    char *text = json_dumps(request, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(request);
    char *line = mem_asprintf("%s\n", text);
    mem_wipe(text, strlen(text));
    free(text);
    return line;
}

/* A descriptor goes along with the first byte: that is never sent in part. */
static int send_request(int fd, const char *request, int passed_fd, int64_t until_ms)
{
    if (passed_fd < 0) return send_all(fd, request, strlen(request), until_ms);
    if (fdpass_send(fd, passed_fd, request, 1) != 0) return -1;
    return send_all(fd, request + 1, strlen(request + 1), until_ms);
}

/* What is asked, and how; from names the server in messages. */
struct question {
    const char *from, *command;
    json_t *args;
    int passed_fd;    /* -1: none */
    int64_t until_ms; /* 0: as long as it takes */
};

static json_t *exchange(int fd, const struct question *q, char *why, size_t cap)
{
    char *request = make_request(q->command, q->args);
    size_t len = 0;
    char *answer = send_request(fd, request, q->passed_fd, q->until_ms) < 0 ? NULL : recv_line(fd, &len, q->until_ms);
    int saved = errno;
    mem_wipe(request, strlen(request));
    free(request);
    if (answer == NULL) {
        const char *text = saved == EPIPE ? "closed without an answer" : strerror(saved);
        snprintf(why, cap, "%s: no answer: %s", q->from, saved == ETIMEDOUT ? "30 seconds are over" : text);
        errno = saved;
        return NULL;
    }
    json_t *root = json_loadb(answer, len, 0, NULL);
    free(answer);
    if (root && json_is_boolean(json_object_get(root, "ok"))) return root;
    json_decref(root);
    snprintf(why, cap, "%s: the answer makes no sense", q->from);
    errno = EBADMSG;
    return NULL;
}

int control_connect(const char *path, char *why, size_t cap)
{
    int fd = connect_to(path);
    int saved = errno;
    if (fd < 0) snprintf(why, cap, "%s: cannot connect: %s", path, strerror(saved));
    errno = saved;
    return fd;
}

json_t *control_call(const char *path, const char *command, json_t *args, char *why, size_t cap)
{
    int fd = control_connect(path, why, cap);
    if (fd < 0) return NULL;
    const struct question q = {path, command, args, -1, now_ms() + CALL_TIMEOUT_MS};
    json_t *answer = exchange(fd, &q, why, cap);
    int saved = errno;
    close(fd);
    errno = saved;
    return answer;
}

json_t *control_call_fd(int fd, const char *command, json_t *args, char *why, size_t cap)
{
    const struct question q = {"control connection", command, args, -1, now_ms() + CALL_TIMEOUT_MS};
    return exchange(fd, &q, why, cap);
}

json_t *control_call_long(int fd, const char *command, json_t *args, int passed_fd, char *why, size_t cap)
{
    const struct question q = {"control connection", command, args, passed_fd, 0};
    return exchange(fd, &q, why, cap);
}
