/* command - what posternctl can do: one row for each command, one file for each group of them. */
#ifndef POSTERN_CTL_COMMAND_H
#define POSTERN_CTL_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit statuses, for scripts. */
enum command_status {
    COMMAND_OK = 0,
    COMMAND_REFUSED = 1,     /* the server said no; the text says why */
    COMMAND_USAGE = 2,       /* a wrong command line or configuration file */
    COMMAND_UNREACHABLE = 3, /* no answer from the server */
};

/* What the command line says. */
struct command_line {
    const char *backend_config;
    const char *gateway_config;
    bool json;         /* print answers as JSON */
    const char *from;  /* of "s2s check"; NULL: not given */
    bool bounce;       /* of "s2s queue purge" */
    char *const *args; /* what follows the command's name */
    size_t arg_count;
};

struct command {
    const char *name; /* one word to three: "adduser", "gateway stats" */
    const char *args; /* for the usage text */
    const char *help;
    size_t args_min, args_max;
    const char *extra; /* why there may not be more arguments; NULL: the usual text */
    enum command_status (*run)(const struct command_line *line);
};

extern const struct command COMMANDS[];
extern const size_t COMMAND_COUNT;

/* command_find - the row whose name the words begin with; *used is set to the number of words in the name.  NULL:
 * there is none. */
const struct command *command_find(char *const *words, size_t count, size_t *used);

/* command_answer - print a server's answer (takes it) as text or JSON; for an error its text goes to stderr.  done (may
 * be NULL) is printed instead of an empty result. */
enum command_status command_answer(const struct command_line *line, json_t *answer, const char *done);

#endif
