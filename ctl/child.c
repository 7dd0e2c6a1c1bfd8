#include "ctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 8 };

/* A build folder has all programs side by side; an installation has the servers in sbin. */
static void find_program(const char *program, char *out, size_t cap)
{
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    if (len > 0) {
        own[len] = '\0';
        char *slash = strrchr(own, '/');
        int written = slash ? snprintf(out, cap, "%.*s/%s", (int)(slash - own), own, program) : -1;
        if (written > 0 && (size_t)written < cap && access(out, X_OK) == 0) return;
    }
    snprintf(out, cap, "%s/%s", POSTERN_SBINDIR, program);
}

pid_t child_start(const char *program, const char *const *arguments, int in, int out)
{
    char path[PATH_MAX];
    find_program(program, path, sizeof path);
    char *argv[ARGUMENTS_MAX + 2] = {path};
    for (size_t i = 0; arguments[i]; i++) {
        CHECK(i < ARGUMENTS_MAX);
        memcpy(&argv[i + 1], &arguments[i], sizeof argv[0]); /* posix_spawn does not write to them */
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (in >= 0) posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    pid_t pid = -1;
    int error = posix_spawn(&pid, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        fprintf(stderr, "posternctl: cannot run %s: %s\n", path, strerror(error));
        return -1;
    }
    return pid;
}

int child_wait(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_line(int fd, char *out, size_t cap)
{
    size_t len = 0;
    for (;;) {
        ssize_t got = read(fd, out + len, cap - 1 - len);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        len += (size_t)got;
    }
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

int child_ask(const char *program, const char *const *arguments, int in, char *out, size_t cap)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        perror("posternctl: pipe");
        return -1;
    }
    pid_t pid = child_start(program, arguments, in, ends[1]);
    close(ends[1]);
    if (pid > 0) read_line(ends[0], out, cap);
    close(ends[0]);
    return pid > 0 ? child_wait(pid) : -1;
}

int child_ask_option(const char *program, const char *config, const char *option, char *out, size_t cap)
{
    const char *const arguments[] = {"-c", config, "--print", option, NULL};
    return child_ask(program, arguments, -1, out, cap);
}
