#include "gateway/upgrade.h"

#include "gateway/generation.h"
#include "gateway/handover.h"
#include "gateway/master.h"
#include "gateway/upstream_watch.h"
#include "lib/control.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CHECK_MAX_MS = 30000,
    ANSWER_MS = 20, /* for the answers to be written */
};

static void set_timer(const struct upgrade *upgrade, long delay_ms)
{
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    evtimer_add(upgrade->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct upgrade *upgrade = arg;
    (void)fd, (void)what;
    if (upgrade->state == UPGRADE_CHECKING && upgrade->pid > 0) kill(upgrade->pid, SIGKILL);
    if (upgrade->state != UPGRADE_ANSWERED) return;
    upgrade->state = UPGRADE_DUE;
    loop_stop(upgrade->master->loop);
}

/* A path stays as it was written, so that a link may lead to another version by now; a name without a path was found in
 * some folder by whoever started us. */
static char *find_program(const char *name)
{
    char path[PATH_MAX];
    if (name[0] == '/') return mem_strdup(name);
    if (strchr(name, '/') != NULL && getcwd(path, sizeof(path)) != NULL) return mem_asprintf("%s/%s", path, name);
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    return len > 0 ? mem_strndup(path, (size_t)len) : mem_strdup(name);
}

void upgrade_init(struct upgrade *upgrade, struct master *master, char **argv)
{
    upgrade->master = master;
    upgrade->argv = argv;
    upgrade->program = find_program(argv[0]);
    upgrade->output = -1;
    upgrade->timer = evtimer_new(loop_base(master->loop), on_timer, upgrade);
    CHECK(upgrade->timer != NULL);
}

void upgrade_clear(struct upgrade *upgrade)
{
    waiting_answer(&upgrade->waiting, "the gateway has ended");
    event_free(upgrade->timer);
    if (upgrade->output >= 0) close(upgrade->output);
    free(upgrade->program);
}

static void fail(struct upgrade *upgrade, const char *why)
{
    upgrade->state = UPGRADE_IDLE;
    counter_add(counters_block(upgrade->master->counters, ""), COUNTER_UPGRADES_FAILED, 1);
    log_msg(LOG_LEVEL_ERROR, "upgrade_failed", "%s", why);
    waiting_answer(&upgrade->waiting, why);
}

/* Returns 0, or an errno.  The check writes what is wrong to its standard error, which is errors. */
static int run_check(struct upgrade *upgrade, int errors)
{
    char takes_over[] = "--takes-over", version[] = HANDOVER_VERSION, c[] = "-c", t[] = "-t";
    char *const argv[] = {upgrade->program, t, takes_over, version, c, upgrade->master->config_path, NULL};
    sigset_t none, all;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = posix_spawn(&upgrade->pid, upgrade->program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) upgrade->pid = 0;
    return error;
}

void upgrade_ask(struct upgrade *upgrade, struct control_request *request)
{
    int ends[2];
    char why[PATH_MAX + 128];
    if (upgrade->master->stopping || !upgrade->master->ready) {
        if (request != NULL) control_fail(request, "unavailable", "the gateway is starting or stopping");
        return;
    }
    waiting_add(&upgrade->waiting, request);
    if (upgrade->state != UPGRADE_IDLE) return;
    log_msg(LOG_LEVEL_INFO, "upgrade", "%s is checked", upgrade->program);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        fail(upgrade, strerror(errno));
        return;
    }
    upgrade->state = UPGRADE_CHECKING;
    int error = run_check(upgrade, ends[1]);
    close(ends[1]);
    upgrade->output = ends[0];
    if (error == 0) {
        set_timer(upgrade, CHECK_MAX_MS);
        return;
    }
    close(upgrade->output);
    upgrade->output = -1;
    snprintf(why, sizeof(why), "cannot run %s: %s", upgrade->program, strerror(error));
    fail(upgrade, why);
}

void upgrade_reap(struct upgrade *upgrade)
{
    char said[UPGRADE_OUTPUT_BYTES], why[UPGRADE_OUTPUT_BYTES + PATH_MAX];
    int status = 0;
    if (upgrade->pid == 0 || waitpid(upgrade->pid, &status, WNOHANG) != upgrade->pid) return;
    ssize_t len = read(upgrade->output, said, sizeof(said) - 1);
    said[len > 0 ? len : 0] = '\0';
    said[strcspn(said, "\n")] = '\0';
    close(upgrade->output);
    upgrade->output = -1;
    upgrade->pid = 0;
    evtimer_del(upgrade->timer);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        upgrade->state = UPGRADE_CHECKED;
        upgrade_proceed(upgrade);
        return;
    }
    snprintf(why, sizeof(why), "%s did not pass its check: %s", upgrade->program,
             said[0] != '\0' ? said : "it said nothing");
    fail(upgrade, why);
}

void upgrade_proceed(struct upgrade *upgrade)
{
    const struct master *master = upgrade->master;
    if (upgrade->state != UPGRADE_CHECKED || master->reload.next != NULL || master->stopping) return;
    waiting_answer(&upgrade->waiting, NULL);
    upgrade->state = UPGRADE_ANSWERED;
    set_timer(upgrade, ANSWER_MS);
}

/* Processes for names would be children of the new program, which does not know them. */
static void stop_watching(const struct master *master)
{
    LIST_EACH (link, &master->generations)
        upstream_watch_free(&LIST_ENTRY(link, struct generation, link)->watch);
}

static void watch_again(struct generation *serving)
{
    if (serving->config != NULL)
        serving->watch = upstream_watch_new(serving->master->loop, serving->config, serving->upstreams);
}

/* A signal would kill the new program before it has handlers: it takes the mask along, and clears it. */
void upgrade_exec(struct upgrade *upgrade)
{
    struct master *master = upgrade->master;
    char why[PATH_MAX + 128];
    if (master->reload.next != NULL) { /* begun in the last moment */
        upgrade->state = UPGRADE_CHECKED;
        return;
    }
    sigset_t all, mask;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask);
    int memory = handover_write(master);
    if (memory >= 0) {
        log_msg(LOG_LEVEL_INFO, "upgrade", "%s takes over", upgrade->program);
        stop_watching(master);
        execv(upgrade->program, upgrade->argv);
    }
    snprintf(why, sizeof(why), "cannot run %s: %s", upgrade->program, strerror(errno));
    if (memory >= 0) {
        handover_undo(master, memory);
        watch_again(master->serving);
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    fail(upgrade, why);
}
