#include "gateway/master.h"

#include "gateway/channel.h"
#include "gateway/close_reason.h"
#include "gateway/gateway_control.h"
#include "gateway/listener.h"
#include "gateway/source.h"
#include "gateway/tls_keeper.h"
#include "gateway/upstream_state.h"
#include "gateway/upstream_watch.h"
#include "gateway/worker.h"
#include "lib/control.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MASTER_MAGIC = 0x4d415354,
    RESTART_MS = 100, /* after the first death; doubled for each one that follows soon */
    RESTART_MAX_MS = 10000,
    LIVED_LONG_MS = 10000,     /* a worker that lived so long begins anew at RESTART_MS */
    HARD_STOP_EXTRA_MS = 2000, /* beyond drain-timeout, before workers are killed */
};

static void set_timer(struct event *timer, int64_t delay_ms)
{
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    evtimer_add(timer, &delay);
}

/* Workers are forked with the loop at rest, so that the child leaves it by returning. */
static void on_restart(evutil_socket_t fd, short what, void *arg)
{
    struct master_worker *worker = arg;
    (void)fd, (void)what;
    worker->due = true;
    loop_stop(worker->master->loop);
}

static void check_ended(struct master *master)
{
    if (!master->stopping) return;
    for (size_t i = 0; i < master->config->workers; i++)
        if (master->workers[i].pid != 0) return;
    master->ended = true;
    loop_stop(master->loop);
}

static void tell_worker(struct master_worker *worker, json_t *message, int fd)
{
    if (channel_send(worker->channel, message, fd) < 0)
        log_msg(LOG_LEVEL_WARN, "worker_deaf", "worker %zu (pid %d): %s", worker->index, (int)worker->pid,
                strerror(errno));
}

static void tell_workers(struct master *master, const char *type, int fd)
{
    for (size_t i = 0; i < master->config->workers; i++) {
        struct master_worker *worker = &master->workers[i];
        if (worker->pid != 0) tell_worker(worker, json_pack("{s:s}", "type", type), fd);
    }
}

static void stop(struct master *master, const char *message, int64_t patience_ms)
{
    if (!master->stopping) log_msg(LOG_LEVEL_INFO, "stop", "%s", message);
    master->stopping = true;
    proc_notify("STOPPING=1");
    listener_keep_only(master->listeners, SIZE_MAX);
    tell_workers(master, message, -1);
    set_timer(master->hard_stop, patience_ms + HARD_STOP_EXTRA_MS);
    check_ended(master);
}

static void on_hard_stop(evutil_socket_t fd, short what, void *arg)
{
    struct master *master = arg;
    (void)fd, (void)what;
    for (size_t i = 0; i < master->config->workers; i++) {
        const struct master_worker *worker = &master->workers[i];
        if (worker->pid == 0) continue;
        log_msg(LOG_LEVEL_WARN, "hard_stop", "worker %zu (pid %d) did not end in time", i, (int)worker->pid);
        kill(worker->pid, SIGKILL);
    }
}

static void log_death(const struct master_worker *worker, int status)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_ERROR, "worker_died");
    log_uint(&line, "worker", worker->index);
    log_int(&line, "pid", worker->pid);
    if (WIFSIGNALED(status))
        log_int(&line, "signal", WTERMSIG(status));
    else
        log_int(&line, "status", WEXITSTATUS(status));
    log_end(&line);
}

static void bury(struct master_worker *worker, int status)
{
    struct master *master = worker->master;
    bool was_ready = worker->ready;
    if (!master->stopping) log_death(worker, status);
    channel_free(&worker->channel);
    upstream_state_bury(master->upstreams, worker->index);
    source_table_clear_worker(master->sources, worker->source_region);
    worker->pid = 0;
    worker->ready = false;
    if (!master->stopping) {
        counter_add(counters_block(master->counters, ""), COUNTER_WORKER_DEATHS, 1);
        if (!master->ready && !was_ready) {
            /* It will not get better by trying again: say so to who has just started us. */
            master->failed = true;
            stop(master, "end", 0);
            return;
        }
        if (loop_now_ms(master->loop) - worker->started_ms > LIVED_LONG_MS) worker->deaths = 0;
        int64_t delay_ms = (int64_t)RESTART_MS << (worker->deaths < 7 ? worker->deaths : 7);
        worker->deaths++;
        set_timer(worker->restart, delay_ms < RESTART_MAX_MS ? delay_ms : RESTART_MAX_MS);
    }
    check_ended(master);
}

static void on_child(int signo, void *arg)
{
    struct master *master = arg;
    (void)signo;
    for (size_t i = 0; i < master->config->workers; i++) {
        struct master_worker *worker = &master->workers[i];
        int status = 0;
        if (worker->pid != 0 && waitpid(worker->pid, &status, WNOHANG) == worker->pid) bury(worker, status);
    }
}

static void on_stop_signal(int signo, void *arg)
{
    struct master *master = arg;
    if (signo == SIGINT)
        stop(master, "end", 0);
    else if (!master->stopping)
        stop(master, "drain", master->config->drain_timeout_ms);
}

/* Workers cannot open files: they get the descriptor of the new one. */
static void on_log_signal(int signo, void *arg)
{
    struct master *master = arg;
    (void)signo;
    if (master->config->log.path == NULL) return;
    if (log_reopen() < 0) {
        log_msg(LOG_LEVEL_ERROR, "log_reopen_failed", "%s: %s", master->config->log.path, strerror(errno));
        return;
    }
    tell_workers(master, "log", log_descriptor());
    log_msg(LOG_LEVEL_INFO, "log_reopened", "%s", master->config->log.path);
}

static void on_reload_signal(int signo, void *arg)
{
    (void)signo, (void)arg;
    log_msg(LOG_LEVEL_WARN, "reload", "reloading is not supported yet: restart the gateway to apply a new file");
}

static void on_ready(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    struct master_worker *worker = arg;
    struct master *master = worker->master;
    (void)channel, (void)message, (void)fd;
    worker->ready = true;
    if (master->ready) return;
    for (size_t i = 0; i < master->config->workers; i++)
        if (!master->workers[i].ready) return;
    master->ready = true;
    log_msg(LOG_LEVEL_INFO, "ready", "%zu workers accept connections", master->config->workers);
    proc_notify("READY=1");
}

/* It has ended or is about to, and SIGCHLD tells the rest; or it is not itself any more. */
static void on_gone(void *arg, const char *why)
{
    const struct master_worker *worker = arg;
    if (why == NULL) return;
    log_msg(LOG_LEVEL_ERROR, "worker_garbled", "worker %zu (pid %d) is killed: %s", worker->index, (int)worker->pid,
            why);
    kill(worker->pid, SIGKILL);
}

static const struct channel_row MESSAGES[] = {
    {"ready", on_ready}, /* it accepts connections */
};

/* Free what belongs to the process that master_run was called in; the child of a fork frees its copies. */
static void master_free(struct master **master)
{
    struct master *old = *master;
    *master = NULL;
    if (old->control != NULL) gateway_control_close(&old->control);
    if (old->workers != NULL) {
        for (size_t i = 0; i < old->config->workers; i++) {
            channel_free(&old->workers[i].channel);
            event_free(old->workers[i].restart);
        }
    }
    if (old->hard_stop != NULL) event_free(old->hard_stop);
    tls_keeper_free(&old->tls);
    upstream_watch_free(&old->watch);
    loop_free(&old->loop);
    listener_set_free(&old->listeners);
    if (old->counters != NULL) counters_free(&old->counters);
    upstream_state_free(&old->upstreams);
    source_table_free(&old->sources);
    free(old->workers);
    if (old->lock_fd >= 0) close(old->lock_fd);
    old->magic = 0;
    free(old);
}

/* In the child: free all that is the master's, m included, then be a worker. */
static int run_child(struct master *m, const struct master_worker *worker, int channel, const sigset_t *mask)
{
    struct worker_start start = {
        .index = worker->index,
        .config = m->config,
        .counters = m->counters,
        .upstreams = m->upstreams,
        .listeners = m->listeners,
        .sources = m->sources,
        .source_region = worker->source_region,
        .channel = channel,
    };
    listener_keep_only(m->listeners, worker->index);
    m->counters = NULL;
    m->upstreams = NULL;
    m->sources = NULL;
    m->listeners = NULL;
    /* The epoll descriptor is shared with the master: events must not be taken out of that one. */
    CHECK(event_reinit(loop_base(m->loop)) == 0);
    start.tickets = tls_keeper_release(&m->tls);
    master_free(&m);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    int status = worker_main(&start);
    listener_set_free(&start.listeners);
    tls_tickets_free(&start.tickets);
    counters_free(&start.counters);
    upstream_state_free(&start.upstreams);
    source_table_free(&start.sources);
    CHECK(status >= 0); /* negative means: still the master */
    return status;
}

/* Returns -1 in the master, else the exit status of the child. */
static int start_worker(struct master *master, struct master_worker *worker)
{
    int pair[2];
    worker->due = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
        log_msg(LOG_LEVEL_ERROR, "worker_failed", "socketpair: %s", strerror(errno));
        set_timer(worker->restart, RESTART_MAX_MS);
        return -1;
    }
    worker->source_region = source_table_take_region(master->sources);
    /* A signal between the fork and the child's own handlers would be told to the master's loop. */
    sigset_t all, mask;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        return run_child(master, worker, pair[1], &mask);
    }
    int saved = errno;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(pair[1]);
    if (pid < 0) {
        log_msg(LOG_LEVEL_ERROR, "worker_failed", "fork: %s", strerror(saved));
        close(pair[0]);
        source_table_clear_worker(master->sources, worker->source_region);
        set_timer(worker->restart, RESTART_MAX_MS);
        return -1;
    }
    worker->pid = pid;
    worker->channel = channel_new(master->loop, pair[0], MESSAGES, ARRAY_LEN(MESSAGES), on_gone, worker);
    worker->started_ms = loop_now_ms(master->loop);
    log_msg(LOG_LEVEL_INFO, "worker", "worker %zu is pid %d", worker->index, (int)pid);
    return -1;
}

static void make_counters(struct master *master)
{
    size_t routes = route_count(master->config->routes);
    master->counters = counters_new(CLOSE_REASON_ROWS, CLOSE_REASON_ROW_COUNT, routes + 1);
    CHECK(counters_block(master->counters, "") != NULL);
    for (size_t i = 0; i < routes; i++)
        CHECK(counters_block(master->counters, route_at(master->config->routes, i)->name) != NULL);
}

static void make_workers(struct master *master)
{
    master->workers = mem_alloc(master->config->workers * sizeof(*master->workers));
    for (size_t i = 0; i < master->config->workers; i++) {
        struct master_worker *worker = &master->workers[i];
        worker->master = master;
        worker->index = i;
        worker->due = true;
        worker->restart = evtimer_new(loop_base(master->loop), on_restart, worker);
        CHECK(worker->restart != NULL);
    }
}

static void watch_signals(struct master *master)
{
    signal(SIGPIPE, SIG_IGN);
    loop_on_signal(master->loop, SIGCHLD, on_child, master);
    loop_on_signal(master->loop, SIGTERM, on_stop_signal, master);
    loop_on_signal(master->loop, SIGINT, on_stop_signal, master);
    loop_on_signal(master->loop, SIGUSR1, on_log_signal, master);
    loop_on_signal(master->loop, SIGHUP, on_reload_signal, master);
}

static int master_open(struct master *master, char *why, size_t cap)
{
    struct gateway_config *config = master->config;
    master->lock_fd = proc_lock(config->lock_file, why, cap);
    if (master->lock_fd < 0) return -1;
    if (log_setup(&config->log) < 0) {
        snprintf(why, cap, "cannot open the log file %s: %s", config->log.path, strerror(errno));
        return -1;
    }
    log_msg(LOG_LEVEL_INFO, "start", "postern-gateway " POSTERN_VERSION ", pid %d", (int)getpid());
    proc_raise_nofile(); /* listeners of many workers */
    master->listeners = listener_open_all(config, why, cap);
    if (master->listeners == NULL) return -1;
    if (gateway_config_load_tls(config, why, cap) < 0) return -1;
    master->tls = tls_keeper_new(master->loop, config->ticket_rotation_ms, why, cap);
    if (master->tls == NULL) return -1;
    make_counters(master);
    master->upstreams = upstream_state_new(config->upstreams, config->upstream_count, config->workers);
    master->sources = source_table_new(config->workers, config->max_connections);
    master->watch = upstream_watch_new(master->loop, config, master->upstreams);
    upstream_watch_settle(master->watch);
    watch_signals(master);
    make_workers(master);
    master->hard_stop = evtimer_new(loop_base(master->loop), on_hard_stop, master);
    CHECK(master->hard_stop != NULL);
    if (config->control_socket != NULL) {
        master->control = gateway_control_open(master, config->control_socket, why, cap);
        if (master->control == NULL) return -1;
    }
    return 0;
}

/* Runs the loop, and forks in between.  Returns -1 in the master when all has ended, else the child's exit status. */
static int supervise(struct master *master)
{
    while (!master->ended) {
        for (size_t i = 0; i < master->config->workers; i++) {
            struct master_worker *worker = &master->workers[i];
            if (!worker->due || master->stopping) continue;
            int status = start_worker(master, worker);
            if (status >= 0) return status;
        }
        loop_run(master->loop);
    }
    return -1;
}

int master_run(struct gateway_config *config)
{
    struct master *master = MEM_NEW(struct master);
    char why[512];
    master->magic = MASTER_MAGIC;
    master->config = config;
    master->lock_fd = -1;
    master->loop = loop_new();
    master->started_ms = loop_now_ms(master->loop);
    if (master_open(master, why, sizeof(why)) < 0) {
        fprintf(stderr, "postern-gateway: %s\n", why);
        if (log_descriptor() != STDERR_FILENO) log_msg(LOG_LEVEL_ERROR, "start_failed", "%s", why);
        master_free(&master);
        return EXIT_FAILURE;
    }
    int status = supervise(master);
    if (status >= 0) return status;
    status = master->failed ? EXIT_FAILURE : EXIT_SUCCESS;
    log_msg(LOG_LEVEL_INFO, "end", "all workers have ended");
    master_free(&master);
    return status;
}
