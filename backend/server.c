#include "backend/server.h"

#include "backend/archive_retention.h"
#include "backend/backend_control.h"
#include "backend/backend_reload.h"
#include "backend/c2s_listen.h"
#include "backend/confinement.h"
#include "backend/dns.h"
#include "backend/inlet.h"
#include "backend/key_shapes.h"
#include "backend/lockout.h"
#include "backend/newcomers.h"
#include "backend/registration.h"
#include "backend/remote_start.h"
#include "backend/server_state.h"
#include "backend/shard.h"
#include "backend/stop_later.h"
#include "backend/terminated_listen.h"
#include "backend/watchdog.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/spare.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* listeners, inlet, terminated: NULL when the server runs for one command only. */
struct server {
    struct backend backend;
    struct backend_config *config; /* as at the start */
    struct c2s_listen *listeners;
    struct inlet *inlet;
    struct terminated_listen *terminated;
    struct control *control;
    struct confinement *confinement;
    struct watchdog *watchdog;
    struct archive_retention *retention;
    bool has_pid_file;
    char why[512];
};

static int confine(struct server *server, bool once)
{
    server->confinement = confinement_new(server->backend.config, once);
    return confinement_enter(server->confinement, server->why, sizeof(server->why));
}

static void set_up(struct server *server, struct hosts *hosts)
{
    struct backend *backend = &server->backend;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    tzset(); /* its file is out of the sandbox's reach */
    backend->started_s = now.tv_sec;
    server->config = backend_config_ref(hosts_config(hosts));
    backend->config = server->config;
    backend->counter_set = counters_new(BACKEND_COUNTER_ROWS, BACKEND_COUNTERS, 1);
    backend->counters = counters_block(backend->counter_set, "");
    backend->descriptor_limit = proc_raise_nofile();
    backend->newcomers = newcomers_new();
    backend->offload = offload_new(backend->config->hashing_threads);
    backend->lockout = lockout_new();
    backend->registrations = registrations_new();
}

static int open_store(struct server *server)
{
    struct backend *backend = &server->backend;
    const struct backend_config *config = backend->config;
    backend->store = store_open(config->engine, config->state_dir, server->why, sizeof(server->why));
    return backend->store ? 0 : -1;
}

static void on_stop_signal(int signo, void *arg)
{
    struct server *server = arg;
    log_msg(LOG_LEVEL_INFO, "stopping", "%s", strsignal(signo));
    proc_notify("STOPPING=1");
    c2s_listen_free(&server->listeners);
    inlet_free(&server->inlet);
    terminated_listen_free(&server->terminated);
    control_free(&server->control);
    shards_stop(&server->backend);
}

static void on_rotation(int signo, void *arg)
{
    (void)signo;
    (void)arg;
    const char *path = NULL;
    if (log_reopen(&path) != 0) log_msg(LOG_LEVEL_ERROR, "log_reopen_failed", "%s: %s", path, strerror(errno));
}

static void on_reload(int signo, void *arg)
{
    (void)signo;
    const struct server *server = arg;
    backend_reload_ask(server->backend.reload, NULL);
}

static int open_control(struct server *server)
{
    struct backend *backend = &server->backend;
    char *path = backend_config_path(backend->config->run_dir, "control.sock", server->why, sizeof(server->why));
    if (!path) return -1;
    server->control = control_listen(backend->shards[0]->loop, path, BACKEND_COMMANDS, BACKEND_COMMAND_COUNT, backend,
                                     server->why, sizeof(server->why));
    free(path);
    return server->control ? 0 : -1;
}

/* What may need root; then root is given up. */
static int start_privileged(struct server *server)
{
    const struct backend_config *config = server->backend.config;
    if (server_state_make_folders(config, true, server->why, sizeof(server->why)) != 0) return -1;
    server->listeners = c2s_listen_open(config->file, server->why, sizeof(server->why));
    if (!server->listeners) return -1;
    server->inlet = inlet_open(config, server->why, sizeof(server->why));
    if (!server->inlet) return -1;
    server->terminated = terminated_listen_open(config, server->why, sizeof(server->why));
    if (!server->terminated) return -1;
    return proc_drop_privileges(config->user, config->group, server->why, sizeof(server->why));
}

static void load_host_shapes(const struct host *host, void *arg)
{
    key_shapes_load(arg, host->domain);
}

/* What is offered to the first client depends on it: read the answers before anybody may come. */
static void load_key_shapes(struct backend *backend, struct hosts *hosts)
{
    struct shard *first = backend->shards[0];
    backend->key_shapes = key_shapes_new(backend, first->loop, first->mailbox);
    hosts_each(hosts, load_host_shapes, backend->key_shapes);
    key_shapes_wait(backend->key_shapes);
}

static int start(struct server *server, struct hosts *hosts)
{
    struct backend *backend = &server->backend;
    const struct backend_config *config = backend->config;
    if (start_privileged(server) != 0) return -1;
    const char *path = NULL;
    if (log_setup(&config->log, &path) != 0) {
        snprintf(server->why, sizeof(server->why), "cannot open the log %s: %s", path, strerror(errno));
        return -1;
    }
    hosts_warn_of_certificates(hosts);
    if (server_state_take(backend, server->why, sizeof(server->why)) != 0) return -1;
    if (config->pid_file && proc_write_pid(config->pid_file, server->why, sizeof(server->why)) != 0) return -1;
    server->has_pid_file = config->pid_file != NULL;
    shards_new(backend, hosts, config->shards);
    backend->dns = dns_new(server->config, backend->shards[0]->loop, backend->shards[0]->mailbox);
    if (open_control(server) != 0) return -1;
    if (confine(server, false) != 0 || open_store(server) != 0) return -1;
    load_key_shapes(backend, hosts);
    remote_start(backend);
    server->retention = archive_retention_new(backend);
    if (shards_start(backend, server->why, sizeof(server->why)) != 0) return -1;
    struct loop *loop = backend->shards[0]->loop;
    loop_on_signal(loop, SIGTERM, on_stop_signal, server);
    loop_on_signal(loop, SIGINT, on_stop_signal, server);
    loop_on_signal(loop, SIGUSR1, on_rotation, NULL);
    loop_on_signal(loop, SIGHUP, on_reload, server);
    server->watchdog = watchdog_new(backend);
    c2s_listen_start(server->listeners, backend);
    backend->reload = backend_reload_new(backend, server->confinement, server->listeners);
    inlet_start(server->inlet, backend);
    terminated_listen_start(server->terminated, backend);
    return 0;
}

/* In an order such that whatever can still call or answer is ended before what it uses; the store is closed after
 * everything that writes to it. */
static void tear_down(struct server *server)
{
    struct backend *backend = &server->backend;
    c2s_listen_free(&server->listeners);
    inlet_free(&server->inlet);
    terminated_listen_free(&server->terminated);
    control_free(&server->control);
    atomic_store(&backend->stopping, true);
    if (backend->shards) shards_join(backend);
    offload_free(&backend->offload);
    if (backend->dns) dns_stop(backend->dns);
    if (backend->shards) {
        shards_settle(backend);
        dns_free(&backend->dns);
        store_close(&backend->store);
        backend_reload_free(&backend->reload);
        archive_retention_free(&server->retention);
        key_shapes_free(&backend->key_shapes);
        watchdog_free(&server->watchdog);
        shards_free(backend);
    }
    confinement_free(&server->confinement);
    lockout_free(&backend->lockout);
    if (server->has_pid_file) proc_remove_pid(server->config->pid_file);
    newcomers_free(&backend->newcomers);
    registrations_free(&backend->registrations);
    counters_free(&backend->counter_set);
    backend_config_unref(&server->config);
}

static void log_ready(const struct backend *backend)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "ready");
    log_str(&line, "version", POSTERN_VERSION);
    log_uint(&line, "shards", backend->shard_count);
    log_str(&line, "store", backend->config->engine);
    log_uint(&line, "descriptors", backend->descriptor_limit);
    log_end(&line);
    if (backend->descriptor_limit >= (size_t)backend->config->max_connections + 128) return;
    log_msg(LOG_LEVEL_WARN, "descriptors",
            "a limit of %zu open files allows fewer than max-connections = %" PRId64
            ": raise it (LimitNOFILE= of the service), or lower that",
            backend->descriptor_limit, backend->config->max_connections);
}

int server_run(struct hosts **hosts)
{
    struct server server = {0};
    set_up(&server, *hosts);
    const int started = start(&server, *hosts);
    hosts_unref(hosts); /* the shards have theirs */
    if (started == 0) {
        log_ready(&server.backend);
        proc_notify("READY=1");
        spare_start_pages();
        struct spare *spare = spare_new(server.backend.shards[0]->loop);
        loop_run(server.backend.shards[0]->loop);
        spare_free(&spare);
    } else {
        fprintf(stderr, "postern-backend: %s\n", server.why);
    }
    tear_down(&server);
    if (started == 0) log_msg(LOG_LEVEL_INFO, "stopped", "every stream is closed, the store is committed");
    if (started != 0) return EXIT_FAILURE;
    return atomic_load(&server.backend.restart) ? STOP_LATER_RESTART_STATUS : EXIT_SUCCESS;
}

static void on_once_done(void *arg)
{
    struct backend *backend = arg;
    loop_stop(backend->shards[0]->loop);
}

static int start_once(struct server *server, struct hosts *hosts, int fd)
{
    struct backend *backend = &server->backend;
    const struct backend_config *config = backend->config;
    const struct log_config quiet = {.level = LOG_LEVEL_WARN, .format = config->log.format};
    if (log_setup(&quiet, NULL) != 0) return -1;
    if (server_state_make_folders(config, false, server->why, sizeof(server->why)) != 0) return -1;
    if (proc_drop_privileges(config->user, config->group, server->why, sizeof(server->why)) != 0) return -1;
    if (server_state_take(backend, server->why, sizeof(server->why)) != 0) return -1;
    shards_new(backend, hosts, 1);
    if (confine(server, true) != 0 || open_store(server) != 0) return -1;
    server->control =
        control_serve_fd(backend->shards[0]->loop, fd, BACKEND_COMMANDS, BACKEND_COMMAND_COUNT, backend, on_once_done);
    return 0;
}

int server_run_once(struct hosts **hosts, int fd)
{
    struct server server = {0};
    set_up(&server, *hosts);
    const int started = start_once(&server, *hosts, fd);
    hosts_unref(hosts);
    if (started == 0) {
        struct spare *spare = spare_new(server.backend.shards[0]->loop);
        loop_run(server.backend.shards[0]->loop);
        spare_free(&spare);
    } else {
        fprintf(stderr, "postern-backend: %s\n", server.why);
    }
    tear_down(&server);
    return started == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
