/* The steps of "s2s check" as they come: the backend writes them into a pipe, and a process of our own prints them
 * while we wait for the answer. */
#include "ctl/ctl_s2s.h"
#include "ctl/reach.h"
#include "ctl/report.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

static bool has_colours(void)
{
    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

static void print_step(const json_t *step)
{
    const char *result = json_string_value(json_object_get(step, "result"));
    const bool ok = result && strcmp(result, "ok") == 0, failed = result && strcmp(result, "failed") == 0;
    const char *colour = ok ? GREEN : failed ? RED : YELLOW;
    printf("  %s%-6s%s  %-17s ", has_colours() ? colour : "",
           ok       ? "ok"
           : failed ? "FAILED"
                    : "note",
           has_colours() ? PLAIN : "", json_string_value(json_object_get(step, "step")));
    report_text(json_object_get(step, "text"), stdout);
    fflush(stdout);
}

/* The printing process; -1: there is none. */
static pid_t start_printing(int ends[2])
{
    const pid_t pid = fork();
    if (pid != 0) {
        close(ends[0]);
        return pid;
    }
    char *text = NULL;
    size_t cap = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    while (in && getline(&text, &cap, in) > 0) {
        json_t *step = json_loads(text, 0, NULL);
        if (step) print_step(step);
        json_decref(step);
    }
    _exit(EXIT_SUCCESS);
}

static void print_end(const json_t *result)
{
    const char *domain = json_string_value(json_object_get(result, "domain"));
    const char *from = json_string_value(json_object_get(result, "from"));
    const char *advice = json_string_value(json_object_get(result, "advice"));
    if (json_is_true(json_object_get(result, "ok")))
        printf("%s can be reached from %s\n", domain, from);
    else
        printf("%s cannot be reached from %s%s%s\n", domain, from, advice ? "; " : "", advice ? advice : "");
}

/* Takes the answer. */
static enum command_status finish(const struct command_line *line, json_t *answer)
{
    const json_t *result = json_object_get(answer, "result");
    const bool ok = json_is_true(json_object_get(result, "ok"));
    if (line->json || !json_is_object(result)) {
        const enum command_status status = command_answer(line, answer, NULL);
        return status == COMMAND_OK && !ok ? COMMAND_REFUSED : status;
    }
    print_end(result);
    json_decref(answer);
    if (fflush(stdout) != 0) {
        perror("posternctl: standard output");
        return COMMAND_REFUSED;
    }
    return ok ? COMMAND_OK : COMMAND_REFUSED;
}

enum command_status ctl_s2s_check(const struct command_line *line)
{
    json_t *args = json_pack("{s:s, s:s*}", "domain", line->args[0], "from", line->from), *answer = NULL;
    int ends[2] = {-1, -1};
    pid_t printer = -1;
    if (!args) {
        fprintf(stderr, "posternctl: an argument is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    if (!line->json && pipe2(ends, O_CLOEXEC) == 0) printer = start_printing(ends);
    const enum command_status status = reach_backend_watching(line, "s2s-check", args, ends[1], &answer);
    if (ends[1] >= 0) close(ends[1]);
    if (printer > 0) (void)waitpid(printer, NULL, 0);
    return status == COMMAND_OK ? finish(line, answer) : status;
}
