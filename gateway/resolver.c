#include "gateway/resolver.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct resolver {
    struct loop *loop;
    const char *user, *group;
    resolver_fn *fn;
    void *arg;
    pid_t owner; /* who started the process */
    pid_t pid;   /* 0: it is not running */
    int fd;      /* to it; -1: none */
    struct event *event;
};

struct question {
    uint32_t id;
    char host[RESOLVER_HOST_BYTES];
};

struct answer {
    uint32_t id;
    int32_t error; /* EAI_..., 0: none */
    uint32_t count;
    struct addr addresses[RESOLVER_ADDRESSES_MAX];
};

/* In the process of its own ------------------------------------------------------------------------------------- */

static void look_up(const struct question *question, struct answer *answer)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    answer->id = question->id;
    answer->error = getaddrinfo(question->host, NULL, &hints, &found);
    if (answer->error != 0) return;
    for (const struct addrinfo *i = found; i != NULL && answer->count < RESOLVER_ADDRESSES_MAX; i = i->ai_next) {
        struct addr *out = &answer->addresses[answer->count];
        addr_from_sockaddr(out, i->ai_addr, i->ai_addrlen);
        if (out->sa.sa_family != AF_UNSPEC) answer->count++;
    }
    freeaddrinfo(found);
    if (answer->count == 0) answer->error = EAI_NONAME;
}

static void keep_only(int fd)
{
    enum { KEPT = STDERR_FILENO + 1 };
    if (fd != KEPT) (void)dup2(fd, KEPT);
    (void)close_range(KEPT + 1, ~0U, 0);
}

/* Signals to the whole group are the master's business: this process ends with it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void serve(const struct resolver *resolver, int fd, pid_t master)
{
    enum { FD = STDERR_FILENO + 1 };
    char why[256];
    ignore_signals();
    keep_only(fd);
    if (proc_drop_privileges(resolver->user, resolver->group, why, sizeof(why)) < 0) _exit(EXIT_FAILURE);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "postern-resolve", 0, 0, 0);
    /* Even while it waits for an answer. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != master) _exit(EXIT_SUCCESS);
    for (;;) {
        struct question question;
        struct answer answer = {0};
        ssize_t len = recv(FD, &question, sizeof(question), 0);
        if (len < 0 && errno == EINTR) continue;
        if (len != (ssize_t)sizeof(question)) _exit(EXIT_SUCCESS);
        question.host[sizeof(question.host) - 1] = '\0';
        look_up(&question, &answer);
        if (send(FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0) _exit(EXIT_SUCCESS);
    }
}

/* In the master --------------------------------------------------------------------------------------------------- */

static void stop(struct resolver *resolver)
{
    if (resolver->event != NULL) event_free(resolver->event);
    if (resolver->fd >= 0) close(resolver->fd);
    resolver->event = NULL;
    resolver->fd = -1;
    if (resolver->pid == 0 || resolver->owner != getpid()) return;
    kill(resolver->pid, SIGKILL);
    while (waitpid(resolver->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    resolver->pid = 0;
}

/* One answer, if there is one.  It comes from a process that may have been taken over: nothing in it is believed. */
static bool read_answer(struct resolver *resolver)
{
    struct answer answer;
    ssize_t len = recv(resolver->fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (len != (ssize_t)sizeof(answer) || answer.count > RESOLVER_ADDRESSES_MAX) {
        log_msg(LOG_LEVEL_WARN, "resolver_died", "the process that resolves names has ended; another one is started");
        stop(resolver);
        return false;
    }
    for (size_t i = 0; i < answer.count; i++) {
        sa_family_t family = answer.addresses[i].sa.sa_family;
        if (family != AF_INET && family != AF_INET6) answer.count = 0;
    }
    const char *error = answer.count > 0 ? NULL : gai_strerror(answer.error != 0 ? answer.error : EAI_NONAME);
    resolver->fn(resolver->arg, answer.id, answer.addresses, answer.count, error);
    return true;
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    (void)read_answer(arg);
}

static bool start(struct resolver *resolver)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return false;
    pid_t master = getpid();
    /* A signal before the child has its own handlers would be told to the master's loop. */
    sigset_t all, mask;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask);
    pid_t pid = fork();
    if (pid == 0) serve(resolver, pair[1], master);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return false;
    }
    resolver->owner = master;
    resolver->pid = pid;
    resolver->fd = pair[0];
    resolver->event = event_new(loop_base(resolver->loop), pair[0], EV_READ | EV_PERSIST, on_answer, resolver);
    CHECK(resolver->event != NULL);
    event_add(resolver->event, NULL);
    return true;
}

struct resolver *resolver_new(struct loop *loop, const char *user, const char *group, resolver_fn *fn, void *arg)
{
    struct resolver *resolver = MEM_NEW(struct resolver);
    *resolver = (struct resolver){.loop = loop, .user = user, .group = group, .fn = fn, .arg = arg, .fd = -1};
    return resolver;
}

void resolver_free(struct resolver **resolver)
{
    if (*resolver == NULL) return;
    stop(*resolver);
    free(*resolver);
    *resolver = NULL;
}

bool resolver_ask(struct resolver *resolver, uint32_t id, const char *host)
{
    struct question question = {.id = id};
    size_t len = strlen(host);
    CHECK(len < sizeof(question.host));
    memcpy(question.host, host, len);
    if (resolver->fd < 0 && !start(resolver)) return false;
    return send(resolver->fd, &question, sizeof(question), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(question);
}

bool resolver_wait(struct resolver *resolver, int64_t timeout_ms)
{
    struct pollfd wait = {.fd = resolver->fd, .events = POLLIN};
    if (resolver->fd < 0 || poll(&wait, 1, (int)timeout_ms) <= 0) return false;
    return read_answer(resolver);
}
