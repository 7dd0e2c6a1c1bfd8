/* bench-xmpp - clients of an XMPP server under test.
 *
 *     bench-xmpp --to ADDRESS:PORT --domain DOMAIN --password PASSWORD [--tls none|direct]
 *                [--mechanism SCRAM-SHA-256|PLAIN] [--seed N] [--keys FILE] [--sm]
 *
 * Users are user0, user1, … of the domain, with one password.  Their contacts, where it says CONTACTS, are as many of
 * those with the next numbers, half of them on each side, in a ring of all; all of a population take part then.
 *
 * Commands are read from the standard input, one a line; each is answered by a line of JSON: {"ok": true, …}, or
 * {"ok": false, "why": …}, which ends the run with status 1.  Between commands the sessions are read as well.
 *
 *     login FIRST COUNT CONCURRENCY        so many users, so many at once
 *     login_rate FIRST COUNT PER_SECOND    at random times, whatever becomes of those before
 *     logout                               all
 *     roster CONTACTS [AT_ONCE]            each asks for its roster, 100 at once if not said otherwise
 *     available [PER_SECOND] CONTACTS      each sends its first presence, all at once or at random times;
 *                                          done when each has seen all contacts come, and nothing comes any more;
 *                                          the time is that until the last was seen
 *     chat PAIRS WINDOW COUNT              closed loop: in each pair the first writes, with so many under way
 *     chat_rate PAIRS PER_SECOND SECONDS   open loop, over all pairs
 *     mixed SECONDS CONTACTS LETTERS PRESENCES QUERIES LOGINS KEEPALIVES
 *                                          open loop: so many a second of each, over all, who are available;
 *                                          a login is of one who has logged out before it
 *     idle SECONDS                         only read; no message, no answer and no stranger's presence may come
 *     quit
 *
 * Answers have wall_ns, cpu_ns (our own), busy (one by the other), derived (how many keys were computed from a password
 * meanwhile), and histograms; in open loops a time counts from when something was due, and "late" says how late it was
 * begun.  With --keys keys are kept in a file, so that they need not be computed while a login is measured.  --sm:
 * stream management is used (XEP-0198). */
#include "bench/backend/answer.h"
#include "bench/backend/commands.h"
#include "bench/backend/scram.h"
#include "bench/backend/session.h"
#include "bench/common/generator.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct command {
    const char *name;
    size_t min, max; /* arguments */
    void (*run)(const struct arguments *arguments);
};

static const struct command commands[] = {
    {"login", 3, 3, commands_login},   {"login_rate", 3, 3, commands_login_rate}, {"logout", 0, 0, commands_logout},
    {"chat", 3, 3, commands_chat},     {"chat_rate", 3, 3, commands_chat_rate},   {"idle", 1, 1, commands_idle},
    {"roster", 1, 2, commands_roster}, {"available", 1, 2, commands_available},   {"mixed", 7, 7, commands_mixed},
};

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {{"to", required_argument, NULL, 't'},
                                          {"tls", required_argument, NULL, 'v'},
                                          {"domain", required_argument, NULL, 'd'},
                                          {"mechanism", required_argument, NULL, 'm'},
                                          {"password", required_argument, NULL, 'p'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"sm", no_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    struct session_options options = {.mechanism = "SCRAM-SHA-256", .tls = true};
    const char *password = NULL, *keys = NULL;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 't') address_parse(&options.to, optarg);
        if (c == 'v') options.tls = strcmp(optarg, "direct") == 0;
        if (c == 'd') options.domain = optarg;
        if (c == 'm') options.mechanism = optarg;
        if (c == 'p') password = optarg;
        if (c == 's') random_seed(number_parse(optarg));
        if (c == 'k') keys = optarg;
        if (c == 'r') options.sm = true;
        if (c == '?') exit(2);
    }
    if (optind != argc || options.to.sin_port == 0 || options.domain == NULL || password == NULL)
        fail("--to --domain --password are needed");
    if (strcmp(options.mechanism, "PLAIN") != 0 && strcmp(options.mechanism, "SCRAM-SHA-256") != 0)
        fail("expected PLAIN or SCRAM-SHA-256, not '%s'", options.mechanism);
    scram_setup(password, keys);
    session_setup(&options);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Read sessions until there is something to read for us.  A file cannot be watched, and need not be. */
static void await_input(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (!session_watch(STDIN_FILENO, true)) return;
    while (poll(&input, 1, 0) == 0)
        session_turn(3600 * 1000000000LL);
    session_watch(STDIN_FILENO, false);
}

/* The next line, without its end; false: there is none.  Sessions are read while it is awaited. */
static bool next_line(char *line, size_t cap)
{
    static char got[4096];
    static size_t len;
    for (;;) {
        char *end = memchr(got, '\n', len);
        if (end != NULL) {
            size_t n = (size_t)(end - got);
            if (n >= cap) fail("a command that is too long");
            memcpy(line, got, n);
            line[n] = '\0';
            len -= n + 1;
            memmove(got, end + 1, len);
            return true;
        }
        if (len == sizeof(got)) fail("a command that is too long");
        await_input();
        ssize_t n = read(STDIN_FILENO, got + len, sizeof(got) - len);
        if (n == 0) return false;
        if (n > 0) len += (size_t)n;
    }
}

static void run(const struct command *command, char *rest)
{
    struct arguments arguments = {.count = 0};
    for (char *word, *end; (word = strtok_r(rest, " ", &rest)) != NULL; arguments.count++) {
        if (arguments.count == command->max) fail("%s: more than %zu arguments", command->name, command->max);
        arguments.at[arguments.count] = strtod(word, &end);
        if (*end != '\0' || arguments.at[arguments.count] < 0)
            fail("%s: expected a number, not '%s'", command->name, word);
    }
    if (arguments.count < command->min) fail("%s: fewer than %zu arguments", command->name, command->min);
    command->run(&arguments);
}

static void on_line(char *line)
{
    char *rest = line, *name = strtok_r(line, " ", &rest);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (name != NULL && strcmp(name, commands[i].name) == 0) {
            run(&commands[i], rest);
            scram_save();
            return;
        }
    fail("unknown command: %s", name != NULL ? name : "");
}

int main(int argc, char **argv)
{
    char line[1024];
    fail_by(answer_failure);
    read_options(argc, argv);
    raise_descriptor_limit();
    prctl(PR_SET_TIMERSLACK, 1); /* ns: what is due is not to be late */
    while (next_line(line, sizeof(line)) && strcmp(line, "quit") != 0)
        on_line(line);
    return 0;
}
