#include "gateway/reload.h"

#include "gateway/gateway_config.h"
#include "gateway/generation.h"
#include "gateway/master.h"
#include "lib/control.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/proc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    START_MAX_MS = 30000, /* for the workers of a generation to be ready */
    FAULT_BYTES = 1024,
    RETRY_S = 1,
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct reload *reload = arg;
    (void)fd, (void)what;
    if (reload->master->stopping) return;
    if (reload->next != NULL)
        reload_fail(reload, "the new workers were not ready in time");
    else
        reload_ask(reload, NULL);
}

void reload_init(struct reload *reload, struct master *master)
{
    reload->master = master;
    reload->timer = evtimer_new(loop_base(master->loop), on_timer, reload);
    CHECK(reload->timer != NULL);
}

void reload_clear(struct reload *reload)
{
    if (reload->timer == NULL) return;
    waiting_answer(&reload->now, "the gateway has ended");
    waiting_answer(&reload->then, "the gateway has ended");
    event_free(reload->timer);
    free(reload->fault);
}

static bool same_path(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What the master holds for its whole life. */
static int check_fixed(const struct master *master, const struct gateway_config *config, char *why, size_t cap)
{
    const struct option_section *top = option_top(config->file);
    const char *option = NULL;
    if (!same_path(config->lock_file, master->lock_path)) option = "lock-file";
    if (!same_path(config->control_socket, master->control_path)) option = "control-socket";
    if (option == NULL) return 0;
    return option_error(top, option, why, cap, "this needs a restart to change");
}

static int set_log(struct master *master, const struct gateway_config *config, char *why, size_t cap)
{
    const char *path = NULL;
    if (log_setup(&config->log, &path) == 0) {
        master->log = config->log;
        return 0;
    }
    snprintf(why, cap, "cannot open the log %s: %s", path, strerror(errno));
    return -1;
}

/* The texts of the log's settings belong to the configuration that serves. */
static void restore_log(struct master *master)
{
    if (master->serving == NULL) return;
    master->log = master->serving->log;
    if (log_setup(&master->log, NULL) < 0) log_msg(LOG_LEVEL_ERROR, "log_failed", "%s", strerror(errno));
}

int reload_begin(struct reload *reload, struct gateway_config *config, char *why, size_t cap)
{
    const struct timeval patience = {.tv_sec = START_MAX_MS / 1000};
    struct master *master = reload->master;
    if (set_log(master, config, why, cap) < 0) {
        gateway_config_free(&config);
        return -1;
    }
    if (master->serving == NULL)
        log_msg(LOG_LEVEL_INFO, "start", "postern-gateway " POSTERN_VERSION ", pid %d", (int)getpid());
    reload->next = generation_make(master, config, why, cap);
    if (reload->next == NULL) {
        restore_log(master);
        return -1;
    }
    evtimer_add(reload->timer, &patience);
    loop_stop(master->loop);
    return 0;
}

static int begin_from_file(struct reload *reload, char *why, size_t cap)
{
    const struct master *master = reload->master;
    struct gateway_config *config = gateway_config_load(master->config_path, why, cap);
    if (config == NULL) return -1;
    if (check_fixed(master, config, why, cap) < 0) {
        gateway_config_free(&config);
        return -1;
    }
    return reload_begin(reload, config, why, cap);
}

/* Returns whether one is under way. */
static bool start(struct reload *reload)
{
    char why[FAULT_BYTES];
    log_msg(LOG_LEVEL_INFO, "reload", "%s", reload->master->config_path);
    proc_notify_reloading();
    if (begin_from_file(reload, why, sizeof(why)) == 0) return true;
    reload_fail(reload, why);
    return false;
}

void reload_take_over(struct reload *reload)
{
    reload->taking_over = true;
    (void)start(reload);
}

void reload_ask(struct reload *reload, struct control_request *request)
{
    if (reload->master->stopping) {
        if (request != NULL) control_fail(request, "unavailable", "the gateway is stopping");
    } else if (reload->next != NULL) {
        waiting_add(&reload->then, request);
        reload->again = true;
    } else {
        waiting_add(&reload->now, request);
        (void)start(reload);
    }
}

void reload_wait(struct reload *reload, struct control_request *request)
{
    struct waiting one = {0};
    if (reload->next != NULL) {
        waiting_add(reload->again ? &reload->then : &reload->now, request);
        return;
    }
    waiting_add(&one, request);
    waiting_answer(&one, reload->fault);
}

/* Workers of the program before cannot be replaced one by one: while some are missing, a new generation is tried. */
static void retry_later(const struct reload *reload)
{
    const struct timeval delay = {.tv_sec = RETRY_S};
    const struct generation *serving = reload->master->serving;
    if (serving->config == NULL && !generation_ready(serving)) evtimer_add(reload->timer, &delay);
}

/* Also the end of the first start. */
static void finish(struct reload *reload, const char *fault)
{
    evtimer_del(reload->timer);
    free(reload->fault);
    reload->fault = mem_strdup(fault);
    reload->next = NULL;
    waiting_answer(&reload->now, fault);
    proc_notify("READY=1");
    if (!reload->again) {
        retry_later(reload);
        upgrade_proceed(&reload->master->upgrade);
        return;
    }
    reload->again = false;
    reload->now = reload->then;
    reload->then = (struct waiting){0};
    (void)start(reload);
}

static void log_accepting(const char *event, const struct generation *serving)
{
    if (serving->place_count == 1)
        log_msg(LOG_LEVEL_INFO, event, "1 worker accepts connections");
    else
        log_msg(LOG_LEVEL_INFO, event, "%zu workers accept connections", serving->place_count);
}

void reload_ready(struct reload *reload)
{
    struct master *master = reload->master;
    struct generation *next = reload->next, *before = master->serving;
    generation_serve(next, before);
    if (before == NULL) {
        master->ready = true;
        log_accepting("ready", next);
    } else {
        bool upgraded = reload->taking_over;
        reload->taking_over = false;
        counter_add(counters_block(master->counters, ""), upgraded ? COUNTER_UPGRADES : COUNTER_RELOADS, 1);
        log_accepting(upgraded ? "upgraded" : "reloaded", next);
    }
    finish(reload, NULL);
}

void reload_fail(struct reload *reload, const char *why)
{
    struct master *master = reload->master;
    if (reload->next != NULL) {
        generation_abandon(reload->next);
        restore_log(master);
        reload->next = NULL;
    }
    if (master->serving == NULL) {
        master_start_failed(master);
        return;
    }
    counter_add(counters_block(master->counters, ""), COUNTER_RELOADS_FAILED, 1);
    log_msg(LOG_LEVEL_ERROR, "reload_failed", "%s", why);
    finish(reload, why);
}

json_t *reload_status(const struct reload *reload)
{
    return json_pack("{s:b, s:s?}", "running", reload->next != NULL, "error", reload->fault);
}
