#include "gateway/close_reason.h"
#include "gateway/gateway_config.h"
#include "gateway/gateway_options.h"
#include "gateway/master.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

#define DEFAULT_CONFIG POSTERN_CONFIG_DIR "/gateway.conf"

static const char USAGE[] =
    "usage: postern-gateway [-c FILE] [-t]\n"
    "  -c FILE     configuration (" DEFAULT_CONFIG ")\n"
    "  -t          check the configuration and exit\n"
    "  -V          print the version\n"
    "  --print OPTION  print the value of an option outside of all sections, and exit\n"
    "  --options   print the reference of the configuration's options (Markdown)\n"
    "  --counters  print the reference of the counters (Markdown)\n"
    "  -h          print this help\n"
    "Exit status: 0 in order, 1 could not start, 2 the configuration or command line is wrong.\n";

struct arguments {
    const char *config;
    const char *print;
    bool check_only;
};

/* Returns -1 to go on, else the exit status. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
    enum { ARG_OPTIONS = 256, ARG_COUNTERS, ARG_PRINT };
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},      {"test", no_argument, NULL, 't'},
        {"version", no_argument, NULL, 'V'},           {"help", no_argument, NULL, 'h'},
        {"print", required_argument, NULL, ARG_PRINT}, {"options", no_argument, NULL, ARG_OPTIONS},
        {"counters", no_argument, NULL, ARG_COUNTERS}, {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "c:tVh", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            arguments->config = optarg;
            break;
        case 't':
            arguments->check_only = true;
            break;
        case 'V':
            puts("postern-gateway " POSTERN_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_SUCCESS;
        case ARG_PRINT:
            arguments->print = optarg;
            break;
        case ARG_OPTIONS:
            option_print_rows(GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, stdout);
            return EXIT_SUCCESS;
        case ARG_COUNTERS:
            counter_print_rows(CLOSE_REASON_ROWS, CLOSE_REASON_ROW_COUNT, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(USAGE, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc) return -1;
    fprintf(stderr, "postern-gateway: unexpected argument %s\n%s", argv[optind], USAGE);
    return EXIT_USAGE;
}

/* Users and privileges do not matter for that. */
static int print_option(const struct arguments *arguments)
{
    char error[1024];
    struct option_file *file =
        option_load(arguments->config, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, sizeof(error));
    int result = file ? option_print_value(file, arguments->print, stdout, error, sizeof(error)) : -1;
    if (result != 0) fprintf(stderr, "%s\n", error);
    option_file_free(&file);
    return result == 0 ? EXIT_SUCCESS : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.config = DEFAULT_CONFIG};
    int status = read_arguments(argc, argv, &arguments);
    if (status >= 0) return status;
    if (arguments.print) return print_option(&arguments);
    char error[1024];
    struct gateway_config *config = gateway_config_load(arguments.config, error, sizeof(error));
    if (config == NULL) {
        fprintf(stderr, "%s\n", error);
        return EXIT_USAGE;
    }
    if (arguments.check_only)
        printf("%s is good\n", arguments.config);
    else
        status = master_run(config);
    gateway_config_free(&config);
    return arguments.check_only ? EXIT_SUCCESS : status;
}
