#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "backend/end_reason.h"
#include "backend/host.h"
#include "backend/server.h"
#include "backend/server_restore.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_CONFIG POSTERN_CONFIG_DIR "/backend.conf"

enum { EXIT_CONFIGURATION = 2 };

static const char USAGE[] =
    "usage: postern-backend [-c FILE] [-t | --once | --restore | --print OPTION]\n"
    "       postern-backend -V | -h | --options | --counters\n"
    "\n"
    "  -c FILE         the configuration (" DEFAULT_CONFIG ")\n"
    "  -t              check the configuration and the certificates, and exit\n"
    "  --once          serve control commands on standard input, a socket, while no server runs; listen nowhere\n"
    "  --restore       make the backup on standard input the store, while no server runs; the old one is kept\n"
    "  --print OPTION  print the value of an option outside of all sections, and exit\n"
    "  -V              print the version\n"
    "  -h              print this\n"
    "  --options       print the reference of all options as Markdown\n"
    "  --counters      print the reference of all counters as Markdown\n";

struct arguments {
    const char *file;
    const char *print;
    bool test, once, restore;
};

static int usage_error(void)
{
    fputs(USAGE, stderr);
    return EXIT_CONFIGURATION;
}

static int configuration_error(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return EXIT_CONFIGURATION;
}

/* Privileges, users and certificates do not matter for that. */
static int print_option(const struct arguments *arguments)
{
    char error[1024];
    struct option_file *file =
        option_load(arguments->file, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, sizeof(error));
    if (!file) return configuration_error(error);
    int result = option_print_value(file, arguments->print, stdout, error, sizeof(error));
    option_file_free(&file);
    return result == 0 ? EXIT_SUCCESS : configuration_error(error);
}

static int run(const struct arguments *arguments)
{
    char error[1024];
    struct backend_config *config = backend_config_load(arguments->file, NULL, error, sizeof(error));
    if (!config) return configuration_error(error);
    if (arguments->restore) {
        const int restored = server_restore(config, STDIN_FILENO);
        backend_config_unref(&config);
        return restored;
    }
    struct hosts *hosts = hosts_new(config, error, sizeof(error));
    int status = EXIT_SUCCESS;
    if (!hosts || (!arguments->once && hosts_load_certificates(hosts, error, sizeof(error)) != 0)) {
        status = configuration_error(error);
    } else if (arguments->once) {
        status = server_run_once(&hosts, STDIN_FILENO);
    } else if (!arguments->test) {
        status = server_run(&hosts);
    } else {
        hosts_warn_of_certificates(hosts);
        printf("%s is good\n", arguments->file);
    }
    hosts_unref(&hosts);
    backend_config_unref(&config);
    return status;
}

/* -1: go on; else the exit status. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
    enum { ONCE = 256, RESTORE, PRINT, OPTIONS, COUNTERS };
    static const struct option LONG[] = {
        {"once", no_argument, NULL, ONCE},         {"restore", no_argument, NULL, RESTORE},
        {"print", required_argument, NULL, PRINT}, {"options", no_argument, NULL, OPTIONS},
        {"counters", no_argument, NULL, COUNTERS}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "c:tVh", LONG, NULL)) != -1) {
        switch (c) {
        case 'c':
            arguments->file = optarg;
            break;
        case 't':
            arguments->test = true;
            break;
        case ONCE:
            arguments->once = true;
            break;
        case RESTORE:
            arguments->restore = true;
            break;
        case PRINT:
            arguments->print = optarg;
            break;
        case 'V':
            printf("postern-backend %s\n", POSTERN_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_SUCCESS;
        case OPTIONS:
            option_print_rows(BACKEND_OPTIONS, BACKEND_OPTION_COUNT, stdout);
            return EXIT_SUCCESS;
        case COUNTERS:
            counter_print_rows(BACKEND_COUNTER_ROWS, BACKEND_COUNTERS, stdout);
            return EXIT_SUCCESS;
        default: /* getopt has said what is wrong */
            return usage_error();
        }
    }
    if (optind == argc) return -1;
    fprintf(stderr, "postern-backend: unexpected argument %s\n", argv[optind]);
    return usage_error();
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.file = DEFAULT_CONFIG};
    const int status = read_arguments(argc, argv, &arguments);
    if (status >= 0) return status;
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a full disk to the store */
    signal(SIGHUP, SIG_IGN);  /* until the server is there to obey it */
    signal(SIGUSR1, SIG_IGN);
    return arguments.print ? print_option(&arguments) : run(&arguments);
}
