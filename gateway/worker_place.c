#include "gateway/worker_place.h"

#include "gateway/channel.h"
#include "gateway/gateway_config.h"
#include "gateway/generation_part.h"
#include "gateway/listener_pool.h"
#include "gateway/master.h"
#include "gateway/source.h"
#include "gateway/tls_tickets.h"
#include "gateway/upstream_state.h"
#include "gateway/worker.h"
#include "lib/log.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RESTART_MS = 100,      /* after the first death; doubled for each one that follows soon */
    RESTART_MAX_MS = 1000, /* clients wait so long in the sockets of a worker that dies again and again */
    DOUBLINGS_MAX = 4,
    LIVED_LONG_MS = 10000, /* a worker that lived so long begins anew at RESTART_MS */
};

/* Workers are forked with the loop at rest, so that the child leaves it by returning. */
static void on_restart(evutil_socket_t fd, short what, void *arg)
{
    struct worker_place *place = arg;
    (void)fd, (void)what;
    place->due = true;
    loop_stop(place->generation->master->loop);
}

void worker_place_init(struct worker_place *place, struct generation *generation, size_t index)
{
    place->generation = generation;
    place->index = index;
    place->restart = evtimer_new(loop_base(generation->master->loop), on_restart, place);
    CHECK(place->restart != NULL);
}

void worker_place_clear(struct worker_place *place)
{
    channel_free(&place->channel);
    event_free(place->restart);
}

static void on_ready(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    struct worker_place *place = arg;
    (void)channel, (void)message, (void)fd;
    place->ready = true;
    master_worker_ready(place);
}

static const struct channel_row MESSAGES[] = {
    {"ready", on_ready}, /* it accepts connections */
};

/* It has ended or is about to, and SIGCHLD tells the rest; or it is not itself any more. */
static void on_gone(void *arg, const char *why)
{
    const struct worker_place *place = arg;
    if (why == NULL) return;
    log_msg(LOG_LEVEL_ERROR, "worker_garbled", "worker %zu (pid %d) is killed: %s", place->index, (int)place->pid, why);
    kill(place->pid, SIGKILL);
}

void worker_place_adopt(struct worker_place *place, pid_t pid, int channel, bool ready)
{
    struct loop *loop = place->generation->master->loop;
    place->pid = pid;
    place->ready = ready;
    place->due = false;
    place->started_ms = loop_now_ms(loop);
    place->channel = channel_new(loop, channel, MESSAGES, ARRAY_LEN(MESSAGES), on_gone, place);
}

/* In the child: free all that is the master's, place included, then be a worker. */
static int run_child(struct worker_place *place, int channel, const sigset_t *mask)
{
    struct generation *generation = place->generation;
    struct master *master = generation->master;
    struct worker_start start = {.index = place->index, .config = generation->config, .channel = channel};
    /* The epoll descriptor is shared with the master: events must not be taken out of that one. */
    CHECK(event_reinit(loop_base(master->loop)) == 0);
    for (size_t i = 0; i < GENERATION_PART_COUNT; i++)
        if (GENERATION_PARTS[i].give != NULL) GENERATION_PARTS[i].give(place, &start);
    generation->config = NULL;
    master_free(&master);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    int status = worker_main(&start);
    listener_set_free(&start.listeners);
    tls_tickets_free(&start.tickets);
    counters_free(&start.counters);
    upstream_state_free(&start.upstreams);
    source_table_free(&start.sources);
    gateway_config_free(&start.config);
    CHECK(status >= 0); /* negative means: still the master */
    return status;
}

static void tell_parts_died(struct worker_place *place)
{
    for (size_t i = 0; i < GENERATION_PART_COUNT; i++)
        if (GENERATION_PARTS[i].died != NULL) GENERATION_PARTS[i].died(place);
}

static int start_failed(struct worker_place *place, const char *what)
{
    log_msg(LOG_LEVEL_ERROR, "worker_failed", "%s: %s", what, strerror(errno));
    worker_place_restart_later(place);
    return -1;
}

int worker_place_start(struct worker_place *place)
{
    int pair[2];
    place->due = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return start_failed(place, "socketpair");
    for (size_t i = 0; i < GENERATION_PART_COUNT; i++)
        if (GENERATION_PARTS[i].forking != NULL) GENERATION_PARTS[i].forking(place);
    /* A signal between the fork and the child's own handlers would be told to the master's loop. */
    sigset_t all, mask;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        return run_child(place, pair[1], &mask);
    }
    int saved = errno;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        tell_parts_died(place);
        errno = saved;
        return start_failed(place, "fork");
    }
    worker_place_adopt(place, pid, pair[0], false);
    log_msg(LOG_LEVEL_INFO, "worker", "worker %zu is pid %d", place->index, (int)pid);
    return -1;
}

void worker_place_tell(struct worker_place *place, json_t *message, int fd)
{
    if (place->pid == 0) {
        json_decref(message);
        return;
    }
    if (channel_send(place->channel, message, fd) == 0 || errno == EPIPE || errno == ECONNRESET)
        return; /* it is dead */
    log_msg(LOG_LEVEL_WARN, "worker_deaf", "worker %zu (pid %d): %s", place->index, (int)place->pid, strerror(errno));
}

static void log_death(const struct worker_place *place, int status)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_ERROR, "worker_died");
    log_uint(&line, "worker", place->index);
    log_int(&line, "pid", place->pid);
    if (WIFSIGNALED(status))
        log_int(&line, "signal", WTERMSIG(status));
    else
        log_int(&line, "status", WEXITSTATUS(status));
    log_end(&line);
}

bool worker_place_reap(struct worker_place *place)
{
    struct generation *generation = place->generation;
    struct master *master = generation->master;
    int status = 0;
    if (place->pid == 0 || waitpid(place->pid, &status, WNOHANG) != place->pid) return false;
    bool told = generation->state == GENERATION_RETIRED;
    bool in_order = told && (generation->killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    if (!master->stopping && !in_order) {
        log_death(place, status);
        counter_add(counters_block(master->counters, ""), COUNTER_WORKER_DEATHS, 1);
    }
    channel_free(&place->channel);
    tell_parts_died(place);
    place->pid = 0;
    place->ready = false;
    return true;
}

void worker_place_restart_later(struct worker_place *place)
{
    if (loop_now_ms(place->generation->master->loop) - place->started_ms > LIVED_LONG_MS) place->deaths = 0;
    int64_t delay_ms = (int64_t)RESTART_MS << (place->deaths < DOUBLINGS_MAX ? place->deaths : DOUBLINGS_MAX);
    if (delay_ms > RESTART_MAX_MS) delay_ms = RESTART_MAX_MS;
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    place->deaths++;
    evtimer_add(place->restart, &delay);
}
