#include "gateway/close_reason.h"
#include "gateway/explain.h"
#include "gateway/gateway_config.h"
#include "gateway/gateway_options.h"
#include "gateway/handover.h"
#include "gateway/master.h"

#include <getopt.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

#define DEFAULT_CONFIG POSTERN_CONFIG_DIR "/gateway.conf"

static const char USAGE[] =
    "usage: postern-gateway [-c FILE] [-t | --print OPTION]\n"
    "  -c FILE     configuration (" DEFAULT_CONFIG ")\n"
    "  -t          check the configuration and exit\n"
    "    --takes-over VERSION          and whether we can follow a gateway that hands over in this version\n"
    "  -V          print the version\n"
    "  --explain   say which route a connection takes, and why:\n"
    "    --sni NAME, --alpn NAME,NAME, --tls-version VERSION\n"
    "                                  a TLS client that asks for these\n"
    "    --hex HEX | --bytes FILE      a client that begins with these bytes\n"
    "    --silent                      a client that says nothing\n"
    "    --listener NAME               where it connects; the first listener when not given\n"
    "    --source ADDRESS              where it comes from\n"
    "    --destination ADDRESS:PORT    the address it connects to\n"
    "    --inside NAME                 this tls section has decrypted it: the bytes are plaintext\n"
    "  --print OPTION  print the value of an option outside of all sections, and exit\n"
    "  --options   print the reference of the configuration's options (Markdown)\n"
    "  --counters  print the reference of the counters (Markdown)\n"
    "  -h          print this help\n"
    "Exit status: 0 in order, 1 could not start (--explain: no route), 2 the configuration or command line is wrong.\n";

struct arguments {
    const char *config;
    const char *print;
    const char *takes_over;
    bool check_only;
    bool explain, explain_details;
    struct explain_request request;
};

enum {
    ARG_OPTIONS = 256,
    ARG_COUNTERS,
    ARG_PRINT,
    ARG_TAKES_OVER,
    ARG_EXPLAIN,
    ARG_LISTENER,
    ARG_SOURCE,
    ARG_DESTINATION,
    ARG_INSIDE,
    ARG_TLS_VERSION,
    ARG_SNI,
    ARG_ALPN,
    ARG_HEX,
    ARG_BYTES,
    ARG_SILENT,
};

/* Returns whether it was one of those of --explain. */
static bool read_explain(int argument, struct arguments *arguments)
{
    struct explain_request *request = &arguments->request;
    if (argument < ARG_EXPLAIN || argument > ARG_SILENT) return false;
    arguments->explain_details |= argument != ARG_EXPLAIN;
    if (argument == ARG_EXPLAIN) arguments->explain = true;
    if (argument == ARG_LISTENER) request->listener = optarg;
    if (argument == ARG_SOURCE) request->source = optarg;
    if (argument == ARG_DESTINATION) request->destination = optarg;
    if (argument == ARG_INSIDE) request->inside = optarg;
    if (argument == ARG_TLS_VERSION) request->tls_version = optarg;
    if (argument == ARG_SNI) request->sni = optarg;
    if (argument == ARG_ALPN) request->alpn = optarg;
    if (argument == ARG_HEX) request->hex = optarg;
    if (argument == ARG_BYTES) request->file = optarg;
    if (argument == ARG_SILENT) request->silent = true;
    return true;
}

/* Returns -1 to go on, else the exit status. */
static int read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {"print", required_argument, NULL, ARG_PRINT},
        {"takes-over", required_argument, NULL, ARG_TAKES_OVER},
        {"options", no_argument, NULL, ARG_OPTIONS},
        {"counters", no_argument, NULL, ARG_COUNTERS},
        {"explain", no_argument, NULL, ARG_EXPLAIN},
        {"listener", required_argument, NULL, ARG_LISTENER},
        {"source", required_argument, NULL, ARG_SOURCE},
        {"destination", required_argument, NULL, ARG_DESTINATION},
        {"inside", required_argument, NULL, ARG_INSIDE},
        {"tls-version", required_argument, NULL, ARG_TLS_VERSION},
        {"sni", required_argument, NULL, ARG_SNI},
        {"alpn", required_argument, NULL, ARG_ALPN},
        {"hex", required_argument, NULL, ARG_HEX},
        {"bytes", required_argument, NULL, ARG_BYTES},
        {"silent", no_argument, NULL, ARG_SILENT},
        {NULL, 0, NULL, 0},
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
        case ARG_TAKES_OVER:
            arguments->takes_over = optarg;
            break;
        case ARG_OPTIONS:
            option_print_rows(GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, stdout);
            return EXIT_SUCCESS;
        case ARG_COUNTERS:
            counter_print_rows(CLOSE_REASON_ROWS, CLOSE_REASON_ROW_COUNT, stdout);
            return EXIT_SUCCESS;
        default:
            if (read_explain(c, arguments)) break;
            fputs(USAGE, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc && (arguments->explain || !arguments->explain_details)) return -1;
    if (optind < argc)
        fprintf(stderr, "postern-gateway: unexpected argument %s\n%s", argv[optind], USAGE);
    else
        fprintf(stderr, "postern-gateway: that argument belongs to --explain\n%s", USAGE);
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

static int explain(const struct arguments *arguments, const struct gateway_config *config)
{
    char error[512];
    int result = explain_run(&arguments->request, config, stdout, error, sizeof(error));
    if (result < 0) fprintf(stderr, "postern-gateway: %s\n", error);
    return result < 0 ? EXIT_USAGE : result;
}

static int check_keys(struct gateway_config *config)
{
    char error[1024];
    int result = gateway_config_load_tls(config, error, sizeof(error));
    if (result < 0) fprintf(stderr, "%s\n", error);
    return result;
}

/* Begin as if there had been no gateway before: its workers end with their channels, which we do not keep. */
static int start_anew(char **argv, const char *why)
{
    sigset_t none;
    sigemptyset(&none);
    fprintf(stderr, "postern-gateway: starting anew: %s\n", why);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0) execv("/proc/self/exe", argv);
    perror("postern-gateway");
    return EXIT_FAILURE;
}

/* Returns -1 when there is nothing to take over, else the exit status. */
static int take_over(const struct arguments *arguments, char **argv)
{
    char why[256];
    json_t *handover = handover_read(why, sizeof(why));
    if (handover == NULL) return why[0] == '\0' ? -1 : start_anew(argv, why);
    int status = master_run(NULL, arguments->config, argv, handover);
    return status >= 0 ? status : start_anew(argv, "what the gateway before has handed over is not complete");
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.config = DEFAULT_CONFIG};
    int status = read_arguments(argc, argv, &arguments);
    if (status >= 0) return status;
    if (arguments.print) return print_option(&arguments);
    if (arguments.takes_over && strcmp(arguments.takes_over, HANDOVER_VERSION) != 0) {
        fprintf(stderr,
                "postern-gateway " POSTERN_VERSION " cannot follow a gateway that hands over in version %s: it "
                "knows " HANDOVER_VERSION "; restart instead\n",
                arguments.takes_over);
        return EXIT_USAGE;
    }
    if (!arguments.explain && !arguments.check_only) {
        status = take_over(&arguments, argv);
        if (status >= 0) return status;
    }
    char error[1024];
    struct gateway_config *config = gateway_config_load(arguments.config, error, sizeof(error));
    if (config == NULL) {
        fprintf(stderr, "%s\n", error);
        return EXIT_USAGE;
    }
    if (arguments.explain)
        status = explain(&arguments, config);
    else if (arguments.check_only)
        status = check_keys(config) < 0                         ? EXIT_USAGE
                 : printf("%s is good\n", arguments.config) > 0 ? EXIT_SUCCESS
                                                                : EXIT_FAILURE;
    else
        return master_run(config, arguments.config, argv, NULL);
    gateway_config_free(&config);
    return status;
}
