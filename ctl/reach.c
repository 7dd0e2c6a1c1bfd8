#include "ctl/reach.h"

#include "ctl/child.h"
#include "lib/control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CHILD_CONFIG_FAULT = 2, /* a server's exit status for a wrong command line or file */
    RETRIES = 100,
    RETRY_MS = 100,
};

static enum command_status unreachable(const char *server, const char *why, int error)
{
    fprintf(stderr, "posternctl: cannot reach %s: %s\n", server, why);
    if (error == EACCES || error == EPERM) {
        fprintf(stderr, "posternctl: only root and the user that it runs as may control it\n");
    } else if (error == ENOENT || error == ECONNREFUSED) {
        fprintf(stderr, "posternctl: it does not seem to run; its log tells why, if it was meant to\n");
    }
    return COMMAND_UNREACHABLE;
}

/* The value of a path option; prints what is wrong. */
static enum command_status ask_path(const char *program, const char *config, const char *option, char *out, size_t cap)
{
    int status = child_ask_option(program, config, option, out, cap);
    if (status == 0) return COMMAND_OK;
    if (status > 0 && status != CHILD_CONFIG_FAULT)
        fprintf(stderr, "posternctl: %s --print %s: exit status %d\n", program, option, status);
    return status == CHILD_CONFIG_FAULT ? COMMAND_USAGE : COMMAND_UNREACHABLE;
}

/* What is asked of the backend. */
struct question {
    const char *command;
    json_t *args;
    bool offline;  /* one may be started for it */
    bool patient;  /* it may take hours */
    int passed_fd; /* goes along; -1: none */
};

static json_t *ask(int fd, const struct question *q, char *why, size_t cap)
{
    return q->patient ? control_call_long(fd, q->command, q->args, q->passed_fd, why, cap)
                      : control_call_fd(fd, q->command, q->args, why, cap);
}

/* No backend runs: start one for this command.  It takes the lock of its files, so that two can never write. */
static enum command_status call_once(const char *config, const struct question *q, json_t **answer)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        perror("posternctl: socketpair");
        return COMMAND_UNREACHABLE;
    }
    const char *const arguments[] = {"-c", config, "--once", NULL};
    pid_t pid = child_start("postern-backend", arguments, ends[1], -1);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return COMMAND_UNREACHABLE;
    }
    char why[256];
    *answer = ask(ends[0], q, why, sizeof why);
    close(ends[0]);
    int status = child_wait(pid);
    if (*answer) return COMMAND_OK;
    if (status == CHILD_CONFIG_FAULT) return COMMAND_USAGE;
    return unreachable("the backend started for this command", why, 0);
}

static enum command_status call_backend(const struct command_line *line, const struct question *q, json_t **answer)
{
    char folder[PATH_MAX - 16], path[PATH_MAX], why[256];
    enum command_status status = ask_path("postern-backend", line->backend_config, "run-dir", folder, sizeof folder);
    if (status != COMMAND_OK) return status;
    snprintf(path, sizeof path, "%s/control.sock", folder);
    int fd = control_connect(path, why, sizeof why);
    if (fd < 0 && q->offline && (errno == ENOENT || errno == ECONNREFUSED))
        return call_once(line->backend_config, q, answer);
    int error = errno;
    if (fd >= 0) {
        *answer = ask(fd, q, why, sizeof why);
        error = errno;
        close(fd);
        if (*answer) return COMMAND_OK;
    }
    return unreachable("the backend", why, error);
}

enum command_status reach_backend(const struct command_line *line, const char *command, json_t *args, bool offline,
                                  json_t **answer)
{
    const struct question q = {.command = command, .args = args, .offline = offline, .passed_fd = -1};
    enum command_status status = call_backend(line, &q, answer);
    json_decref(args);
    return status;
}

enum command_status reach_backend_passing(const struct command_line *line, const char *command, json_t *args,
                                          int passed_fd, json_t **answer)
{
    const struct question q = {
        .command = command, .args = args, .offline = true, .patient = true, .passed_fd = passed_fd};
    enum command_status status = call_backend(line, &q, answer);
    json_decref(args);
    return status;
}

enum command_status reach_backend_watching(const struct command_line *line, const char *command, json_t *args,
                                           int passed_fd, json_t **answer)
{
    const struct question q = {.command = command, .args = args, .patient = true, .passed_fd = passed_fd};
    enum command_status status = call_backend(line, &q, answer);
    json_decref(args);
    return status;
}

static enum command_status gateway_path(const struct command_line *line, char *path, size_t cap)
{
    enum command_status status = ask_path("postern-gateway", line->gateway_config, "control-socket", path, cap);
    if (status != COMMAND_OK || path[0] != '\0') return status;
    fprintf(stderr, "posternctl: %s sets no control-socket: the gateway cannot be asked\n", line->gateway_config);
    return COMMAND_USAGE;
}

enum command_status reach_gateway(const struct command_line *line, const char *command, json_t *args, json_t **answer)
{
    char path[PATH_MAX], why[256];
    enum command_status status = gateway_path(line, path, sizeof path);
    if (status == COMMAND_OK) {
        errno = 0;
        *answer = control_call(path, command, args, why, sizeof why);
        if (*answer == NULL) status = unreachable("the gateway", why, errno);
    }
    json_decref(args);
    return status;
}

enum command_status reach_gateway_patiently(const struct command_line *line, const char *command, json_t **answer)
{
    static const struct timespec PAUSE = {.tv_nsec = RETRY_MS * 1000000L};
    char path[PATH_MAX], why[256];
    enum command_status status = gateway_path(line, path, sizeof path);
    if (status != COMMAND_OK) return status;
    for (int i = 0; i < RETRIES; i++) {
        errno = 0;
        *answer = control_call(path, command, NULL, why, sizeof why);
        if (*answer) return COMMAND_OK;
        nanosleep(&PAUSE, NULL);
    }
    return unreachable("the gateway", why, errno);
}
