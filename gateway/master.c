#include "gateway/master.h"

#include "gateway/gateway_config.h"
#include "gateway/gateway_control.h"
#include "gateway/generation.h"
#include "gateway/handover.h"
#include "gateway/listener_pool.h"
#include "gateway/passed_sockets.h"
#include "gateway/tls_keeper.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MASTER_MAGIC = 0x4d415354 };

static void check_ended(struct master *master)
{
    LIST_EACH (link, &master->generations) {
        struct generation *generation = LIST_ENTRY(link, struct generation, link);
        if (!generation_ended(generation)) return;
    }
    if (!master->stopping) return;
    master->ended = true;
    loop_stop(master->loop);
}

static void begin_stop(struct master *master, const char *how)
{
    if (!master->stopping) log_msg(LOG_LEVEL_INFO, "stop", "%s", how);
    master->stopping = true;
    proc_notify("STOPPING=1");
    listener_pool_close(master->listeners);
}

void master_drain(struct master *master, int64_t timeout_ms)
{
    json_t *all = json_true();
    begin_stop(master, "drain");
    LIST_EACH (link, &master->generations)
        generation_drain(LIST_ENTRY(link, struct generation, link), timeout_ms, all);
    json_decref(all);
    check_ended(master);
}

static void end_now(struct master *master)
{
    begin_stop(master, "end");
    LIST_EACH (link, &master->generations)
        generation_end(LIST_ENTRY(link, struct generation, link));
    check_ended(master);
}

void master_tell(struct master *master, json_t *message, int fd)
{
    LIST_EACH (link, &master->generations)
        generation_tell(LIST_ENTRY(link, struct generation, link), json_incref(message), fd);
    json_decref(message);
}

struct channel **master_channels(const struct master *master, size_t *count)
{
    struct channel **channels = NULL;
    *count = 0;
    LIST_EACH (link, &master->generations) {
        const struct generation *generation = LIST_ENTRY(link, struct generation, link);
        channels = mem_realloc(channels, (*count + generation->place_count + 1) * sizeof(struct channel *));
        for (size_t i = 0; i < generation->place_count; i++)
            if (generation->places[i].channel != NULL) channels[(*count)++] = generation->places[i].channel;
    }
    return channels;
}

void master_worker_ready(struct worker_place *place)
{
    struct master *master = place->generation->master;
    if (!master->stopping && place->generation == master->reload.next && generation_ready(place->generation))
        reload_ready(&master->reload);
}

/* It will not get better by trying again: say so to who has just started us. */
void master_start_failed(struct master *master)
{
    master->failed = true;
    end_now(master);
}

static void on_death(struct worker_place *place)
{
    struct generation *generation = place->generation;
    struct master *master = generation->master;
    if (master->stopping) return;
    if (generation == master->reload.next)
        reload_fail(&master->reload, "a worker has ended before it accepted connections; the log says why");
    else if (generation->state == GENERATION_SERVING && generation->config != NULL)
        worker_place_restart_later(place);
    else if (generation->state == GENERATION_SERVING)
        reload_ask(&master->reload, NULL); /* another program's: only a generation of our own can replace it */
}

static void on_child(int signo, void *arg)
{
    struct master *master = arg;
    (void)signo;
    LIST_EACH (link, &master->generations) {
        struct generation *generation = LIST_ENTRY(link, struct generation, link);
        for (size_t i = 0; i < generation->place_count; i++)
            if (worker_place_reap(&generation->places[i])) on_death(&generation->places[i]);
    }
    upgrade_reap(&master->upgrade);
    LIST_EACH (link, &master->generations) {
        struct generation *generation = LIST_ENTRY(link, struct generation, link);
        if (generation->state == GENERATION_RETIRED && generation_ended(generation)) generation_free(&generation);
    }
    check_ended(master);
}

static void on_stop_signal(int signo, void *arg)
{
    struct master *master = arg;
    if (signo == SIGINT)
        end_now(master);
    else
        master_drain(master, master->serving != NULL ? master->serving->drain_timeout_ms : 0);
}

/* Workers cannot open files: they get the descriptor of the new one. */
static void on_log_signal(int signo, void *arg)
{
    struct master *master = arg;
    (void)signo;
    const char *path = NULL;
    if (master->log.path == NULL && master->log.error_path == NULL) return;
    if (log_reopen(&path) < 0) {
        log_msg(LOG_LEVEL_ERROR, "log_reopen_failed", "%s: %s", path, strerror(errno));
        return;
    }
    LIST_EACH (link, &master->generations)
        generation_tell_log(LIST_ENTRY(link, struct generation, link));
    log_msg(LOG_LEVEL_INFO, "log_reopened", "%s", master->log.path != NULL ? master->log.path : master->log.error_path);
}

static void on_reload_signal(int signo, void *arg)
{
    struct master *master = arg;
    (void)signo;
    reload_ask(&master->reload, NULL);
}

static void on_upgrade_signal(int signo, void *arg)
{
    struct master *master = arg;
    (void)signo;
    upgrade_ask(&master->upgrade, NULL);
}

void master_free(struct master **master)
{
    struct master *old = *master;
    *master = NULL;
    if (old->control != NULL) gateway_control_close(&old->control); /* before those who would answer there */
    reload_clear(&old->reload);
    upgrade_clear(&old->upgrade);
    LIST_EACH (link, &old->generations) {
        struct generation *generation = LIST_ENTRY(link, struct generation, link);
        generation_free(&generation);
    }
    tls_keeper_free(&old->tls);
    loop_free(&old->loop);
    listener_pool_free(&old->listeners);
    counters_free(&old->counters);
    if (old->lock_fd >= 0) close(old->lock_fd);
    json_decref(old->handover);
    free(old->config_path);
    free(old->lock_path);
    free(old->control_path);
    old->magic = 0;
    free(old);
}

static void watch_signals(struct master *master)
{
    signal(SIGPIPE, SIG_IGN);
    loop_on_signal(master->loop, SIGCHLD, on_child, master);
    loop_on_signal(master->loop, SIGTERM, on_stop_signal, master);
    loop_on_signal(master->loop, SIGINT, on_stop_signal, master);
    loop_on_signal(master->loop, SIGUSR1, on_log_signal, master);
    loop_on_signal(master->loop, SIGHUP, on_reload_signal, master);
    loop_on_signal(master->loop, SIGUSR2, on_upgrade_signal, master);
}

static struct master *master_new(const char *config_path, char **argv)
{
    struct master *master = MEM_NEW(struct master);
    master->magic = MASTER_MAGIC;
    master->config_path = mem_strdup(config_path);
    master->lock_fd = -1;
    master->loop = loop_new();
    master->started_ms = loop_now_ms(master->loop);
    master->listeners = listener_pool_new();
    master->counters = counters_new(CLOSE_REASON_ROWS, CLOSE_REASON_ROW_COUNT, MASTER_LABELS_MAX);
    list_init(&master->generations);
    reload_init(&master->reload, master);
    upgrade_init(&master->upgrade, master, argv);
    return master;
}

/* config is taken. */
static int master_open(struct master *master, struct gateway_config *config, char *why, size_t cap)
{
    master->lock_path = mem_strdup(config->lock_file);
    master->control_path = mem_strdup(config->control_socket);
    master->lock_fd = proc_lock(config->lock_file, why, cap);
    if (master->lock_fd < 0 || passed_sockets_take(master->listeners, config, why, cap) < 0) {
        gateway_config_free(&config);
        return -1;
    }
    proc_raise_nofile(); /* listeners of many workers */
    watch_signals(master);
    if (reload_begin(&master->reload, config, why, cap) < 0) return -1;
    if (master->control_path == NULL) return 0;
    master->control = gateway_control_open(master, master->control_path, why, cap);
    return master->control != NULL ? 0 : -1;
}

/* The program before left its signals blocked, lest one of them end us; children may have died meanwhile. */
static int master_take_over(struct master *master, json_t *handover)
{
    sigset_t none;
    sigemptyset(&none);
    master->handover = handover;
    if (handover_adopt(master, handover) < 0) return -1;
    log_msg(LOG_LEVEL_INFO, "start", "postern-gateway " POSTERN_VERSION " takes over, pid %d", (int)getpid());
    proc_raise_nofile();
    master->ready = true;
    watch_signals(master);
    sigprocmask(SIG_SETMASK, &none, NULL);
    reload_take_over(&master->reload);
    on_child(SIGCHLD, master);
    return 0;
}

/* Returns -1 in the master, else the exit status of a child. */
static int start_due(struct master *master)
{
    LIST_EACH (link, &master->generations) {
        const struct generation *generation = LIST_ENTRY(link, struct generation, link);
        for (size_t i = 0; i < generation->place_count && !master->stopping; i++) {
            struct worker_place *place = &generation->places[i];
            int status = place->due ? worker_place_start(place) : -1;
            if (status >= 0) return status;
        }
    }
    return -1;
}

/* Runs the loop, and forks in between.  Returns -1 in the master when all has ended, else the child's exit status. */
static int supervise(struct master *master)
{
    while (!master->ended) {
        int status = start_due(master);
        if (status >= 0) return status;
        if (master->upgrade.state == UPGRADE_DUE && !master->stopping) upgrade_exec(&master->upgrade);
        loop_run(master->loop);
    }
    return -1;
}

static int open_anew(struct master *master, struct gateway_config *config)
{
    char why[512];
    if (master_open(master, config, why, sizeof(why)) == 0) return 0;
    fprintf(stderr, "postern-gateway: %s\n", why);
    if (log_descriptor(LOG_SINK_STDERR) < 0) log_msg(LOG_LEVEL_ERROR, "start_failed", "%s", why);
    return -1;
}

int master_run(struct gateway_config *config, const char *config_path, char **argv, json_t *handover)
{
    struct master *master = master_new(config_path, argv);
    int rc = handover != NULL ? master_take_over(master, handover) : open_anew(master, config);
    if (rc < 0) {
        master_free(&master);
        return handover != NULL ? -1 : EXIT_FAILURE;
    }
    int status = supervise(master);
    if (status >= 0) return status;
    status = master->failed ? EXIT_FAILURE : EXIT_SUCCESS;
    log_msg(LOG_LEVEL_INFO, "end", "all workers have ended");
    master_free(&master);
    return status;
}
