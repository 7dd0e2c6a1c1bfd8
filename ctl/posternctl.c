/* posternctl - the administrator's tool for the backend and the gateway. */
#include "ctl/command.h"
#include "ctl/ctl_s2s.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 40 };

static void usage(FILE *out)
{
    fprintf(out, "usage: posternctl [OPTION ...] COMMAND [ARGUMENT]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &COMMANDS[i];
        int width = fprintf(out, "  %s %s", command->name, command->args);
        fprintf(out, "%*s %s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 0, "", command->help);
    }
    fprintf(out, "\nOptions:\n"
                 "  -c, --config FILE    the backend's configuration (" POSTERN_CONFIG_DIR "/backend.conf)\n"
                 "  -g, --gateway FILE   the gateway's configuration (" POSTERN_CONFIG_DIR "/gateway.conf)\n"
                 "      --json           answers as JSON\n"
                 "  -h, --help           this text\n"
                 "  -V, --version        the version\n"
                 "\nExit status: 0 done, 1 refused, 2 wrong command line or configuration, 3 server not reached\n");
}

/* Short, so that it stays on the screen: the commands that begin with the same word, if there are any. */
static void no_such_command(const struct command_line *line)
{
    const char *first = line->args[0], *second = line->arg_count > 1 ? line->args[1] : "";
    size_t len = strlen(first);
    fprintf(stderr, "posternctl: there is no command \"%s%s%s\"; posternctl -h shows all\n", first, *second ? " " : "",
            second);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &COMMANDS[i];
        if (strncmp(command->name, first, len) == 0 && command->name[len] == ' ')
            fprintf(stderr, "usage: posternctl %s%s%s\n", command->name, *command->args ? " " : "", command->args);
    }
}

/* An option that is only one command's. */
static bool is_misplaced(const struct command_line *line, const struct command *command)
{
    const char *option = line->from && command->run != ctl_s2s_check           ? "--from"
                         : line->bounce && command->run != ctl_s2s_queue_purge ? "--bounce"
                                                                               : NULL;
    if (option) fprintf(stderr, "posternctl: %s does not go with \"%s\"\n", option, command->name);
    return option != NULL;
}

static enum command_status run(struct command_line *line)
{
    size_t used;
    const struct command *command = command_find(line->args, line->arg_count, &used);
    if (!command) {
        if (line->arg_count)
            no_such_command(line);
        else
            usage(stderr);
        return COMMAND_USAGE;
    }
    line->args += used;
    line->arg_count -= used;
    if (line->arg_count > command->args_max && command->extra) {
        fprintf(stderr, "posternctl: %s\n", command->extra);
        return COMMAND_USAGE;
    }
    if (line->arg_count < command->args_min || line->arg_count > command->args_max) {
        fprintf(stderr, "usage: posternctl %s%s%s\n", command->name, *command->args ? " " : "", command->args);
        return COMMAND_USAGE;
    }
    return is_misplaced(line, command) ? COMMAND_USAGE : command->run(line);
}

/* Whether the argument is a word of the command, and no option's value. */
static bool is_word(int at, char **argv)
{
    static const char *const WITH_VALUE[] = {"-c", "--config", "-g", "--gateway", "--from"};
    for (size_t i = 0; i < sizeof(WITH_VALUE) / sizeof(WITH_VALUE[0]); i++)
        if (strcmp(argv[at - 1], WITH_VALUE[i]) == 0) return false;
    return argv[at][0] != '-';
}

/* How many arguments may hold our own options: "gateway explain" and "import" have their own behind them. */
static int own_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!is_word(i, argv)) continue;
        if (strcmp(argv[i], "import") == 0) return i + 1;
        return i + 1 < argc && strcmp(argv[i], "gateway") == 0 && strcmp(argv[i + 1], "explain") == 0 ? i + 2 : argc;
    }
    return argc;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"config", required_argument, NULL, 'c'}, {"gateway", required_argument, NULL, 'g'},
        {"json", no_argument, NULL, 'j'},         {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {"from", required_argument, NULL, 'f'},
        {"bounce", no_argument, NULL, 'b'},       {0},
    };
    struct command_line line = {.backend_config = POSTERN_CONFIG_DIR "/backend.conf",
                                .gateway_config = POSTERN_CONFIG_DIR "/gateway.conf"};
    int option, own = own_arguments(argc, argv);
    while ((option = getopt_long(own, argv, "c:g:hV", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'c':
            line.backend_config = optarg;
            break;
        case 'g':
            line.gateway_config = optarg;
            break;
        case 'j':
            line.json = true;
            break;
        case 'f':
            line.from = optarg;
            break;
        case 'b':
            line.bounce = true;
            break;
        case 'h':
            usage(stdout);
            return COMMAND_OK;
        case 'V':
            puts("posternctl " POSTERN_VERSION);
            return COMMAND_OK;
        default:
            fprintf(stderr, "posternctl -h shows the options\n");
            return COMMAND_USAGE;
        }
    }
    line.args = argv + optind;
    line.arg_count = (size_t)(argc - optind);
    return run(&line);
}
