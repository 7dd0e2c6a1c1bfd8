#include "backend/backend_reload.h"

#include "backend/backend_config.h"
#include "backend/c2s_listen.h"
#include "backend/certificate_files.h"
#include "backend/confinement.h"
#include "backend/dns.h"
#include "backend/host_swap.h"
#include "backend/key_shapes.h"
#include "backend/shard.h"
#include "lib/file_watch.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/waiting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 1000, ERROR_BYTES = 1024 };

/* next, file_state and error are the job's while it runs. */
struct backend_reload {
    struct backend *backend;
    const struct confinement *confinement;
    struct c2s_listen *listeners;
    struct file_watch *watch; /* the certificates */
    struct waiting now, then; /* for the reload that runs, and for the one after it */
    bool running;
    bool again, again_certificates; /* asked for meanwhile */
    bool certificates_only;
    struct backend_config *config; /* in force when the reload began */
    struct hosts *next;            /* NULL: error says why */
    uint64_t file_state;
    char error[ERROR_BYTES];
};

static const char STOPPING[] = "the server is stopping";

/* On a thread of its own. */
static void read_files(void *arg)
{
    struct backend_reload *reload = arg;
    const struct backend *backend = reload->backend;
    struct backend_config *config =
        reload->certificates_only
            ? backend_config_ref(reload->config)
            : backend_config_load(option_path(reload->config->file), backend->config, reload->error, ERROR_BYTES);
    if (!config) return;
    size_t count;
    char **paths = certificate_files_list(config, &count);
    reload->file_state = file_watch_state(paths, count);
    free(paths);
    if (confinement_check(reload->confinement, config, reload->error, ERROR_BYTES) == 0)
        reload->next = hosts_new(config, reload->error, ERROR_BYTES);
    backend_config_unref(&config);
    if (reload->next && hosts_load_certificates(reload->next, reload->error, ERROR_BYTES) != 0)
        hosts_unref(&reload->next);
}

static void start(struct backend_reload *reload, bool certificates_only);

/* fault NULL: it is in force. */
static void finish(struct backend_reload *reload, const char *fault)
{
    const bool certificates_only = reload->certificates_only;
    hosts_unref(&reload->next);
    backend_config_unref(&reload->config);
    reload->running = false;
    waiting_answer(&reload->now, fault);
    if (!certificates_only) proc_notify("READY=1");
    if (backend_is_stopping(reload->backend) || (!reload->again && !reload->again_certificates)) return;
    const bool only = !reload->again;
    reload->again = reload->again_certificates = false;
    reload->now = reload->then;
    reload->then = (struct waiting){0};
    start(reload, only);
}

static void fail(struct backend_reload *reload)
{
    struct backend *backend = reload->backend;
    counter_add(backend->counters, COUNTER_RELOADS_FAILED, 1);
    if (reload->certificates_only)
        log_msg(LOG_LEVEL_ERROR, "certificates_failed", "the old ones stay in use: %s", reload->error);
    else
        log_msg(LOG_LEVEL_ERROR, "reload_failed", "%s", reload->error);
    finish(reload, reload->error);
}

static void on_swapped(void *arg)
{
    struct backend_reload *reload = arg;
    struct backend *backend = reload->backend;
    counter_add(backend->counters, reload->certificates_only ? COUNTER_CERTIFICATE_RENEWALS : COUNTER_RELOADS, 1);
    log_msg(LOG_LEVEL_INFO, reload->certificates_only ? "certificates" : "reloaded", "%s",
            option_path(hosts_config(reload->next)->file));
    finish(reload, NULL);
}

/* The last thing that can fail. */
static int set_log(struct backend_reload *reload, const struct backend_config *config)
{
    const char *path = NULL;
    if (log_setup(&config->log, &path) == 0) return 0;
    return option_error(option_single(config->file, "log"), path == config->log.error_path ? "error-file" : "file",
                        reload->error, ERROR_BYTES, "cannot open %s: %s", path, strerror(errno));
}

static void watch_files(const struct backend_reload *reload, const struct backend_config *config)
{
    size_t count;
    char **paths = certificate_files_list(config, &count);
    file_watch_set(reload->watch, paths, count, reload->file_state);
    free(paths);
}

/* What a new host can offer depends on the accounts that it has. */
static void load_key_shapes(const struct host *host, void *arg)
{
    key_shapes_load(arg, host->domain);
}

static void on_read(void *arg)
{
    struct backend_reload *reload = arg;
    struct backend *backend = reload->backend;
    if (backend_is_stopping(backend)) {
        finish(reload, STOPPING);
        return;
    }
    struct backend_config *config = reload->next ? hosts_config(reload->next) : NULL;
    const bool good = config && (reload->certificates_only ||
                                 (c2s_listen_check(reload->listeners, config->file, reload->error, ERROR_BYTES) == 0 &&
                                  set_log(reload, config) == 0));
    if (!good) {
        fail(reload);
        return;
    }
    hosts_warn_of_certificates(reload->next);
    watch_files(reload, config);
    if (!reload->certificates_only) {
        c2s_listen_change(reload->listeners, config->file);
        dns_follow(backend->dns, config);
    }
    hosts_each(reload->next, load_key_shapes, backend->key_shapes);
    host_swap(backend, reload->next, on_swapped, reload);
}

static void start(struct backend_reload *reload, bool certificates_only)
{
    struct backend *backend = reload->backend;
    reload->running = true;
    reload->certificates_only = certificates_only;
    reload->config = backend_config_ref(hosts_config(shard_hosts(backend->shards[0])));
    snprintf(reload->error, ERROR_BYTES, "%s", STOPPING);
    if (!certificates_only) {
        log_msg(LOG_LEVEL_INFO, "reload", "%s", option_path(reload->config->file));
        proc_notify_reloading();
    }
    const struct offload_job job = {.reply_to = backend->shards[0]->mailbox,
                                    .work = read_files,
                                    .done = on_read,
                                    .dropped = on_read, /* the server is stopping then */
                                    .arg = reload};
    if (offload_post(backend->offload, &job) == 0) return;
    snprintf(reload->error, ERROR_BYTES, "too much waits for the hashing threads; try again");
    fail(reload);
}

static void on_certificates(void *arg)
{
    struct backend_reload *reload = arg;
    if (reload->running)
        reload->again_certificates = true;
    else
        start(reload, true);
}

void backend_reload_ask(struct backend_reload *reload, struct control_request *request)
{
    if (backend_is_stopping(reload->backend)) {
        struct waiting one = {0};
        waiting_add(&one, request);
        waiting_answer(&one, STOPPING);
    } else if (reload->running) {
        waiting_add(&reload->then, request);
        reload->again = true;
    } else {
        waiting_add(&reload->now, request);
        start(reload, false);
    }
}

struct backend_reload *backend_reload_new(struct backend *backend, const struct confinement *confinement,
                                          struct c2s_listen *listeners)
{
    struct backend_reload *reload = MEM_NEW(struct backend_reload);
    struct shard *shard = backend->shards[0];
    reload->backend = backend;
    reload->confinement = confinement;
    reload->listeners = listeners;
    reload->watch = file_watch_new(shard->loop, SETTLE_MS, on_certificates, reload);
    size_t count;
    char **paths = certificate_files_list(shard_config(shard), &count);
    file_watch_set(reload->watch, paths, count, file_watch_state(paths, count));
    free(paths);
    return reload;
}

void backend_reload_free(struct backend_reload **reload)
{
    struct backend_reload *r = *reload;
    if (!r) return;
    *reload = NULL;
    file_watch_free(&r->watch);
    waiting_answer(&r->now, STOPPING);
    waiting_answer(&r->then, STOPPING);
    hosts_unref(&r->next);
    backend_config_unref(&r->config);
    free(r);
}
