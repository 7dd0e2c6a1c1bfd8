/* log - one line for each event, as logfmt or JSON, to stderr, files and the machine's log daemon.
 *
 * Never a secret, never a stanza's body.  Any thread may log; a line is written by one write(2) to each. */
#ifndef POSTERN_LIB_LOG_H
#define POSTERN_LIB_LOG_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* Where lines go; several at once. */
enum log_sink { LOG_SINK_STDERR, LOG_SINK_FILE, LOG_SINK_ERROR_FILE, LOG_SINK_SYSLOG, LOG_SINKS };

struct log_config {
    enum log_level level; /* of every sink that has none of its own */
    enum log_format format;
    enum addr_mode addresses;
    bool to_stderr;          /* even though there is a file or a log daemon; without both it is used anyway */
    const char *path;        /* a file; NULL: none */
    const char *error_path;  /* a second one; NULL: none */
    const char *syslog_path; /* the log daemon's socket; NULL: none.  Its lines have no time of their own */
    int syslog_facility;     /* as for log_syslog_open */
    unsigned char own_level[LOG_SINKS]; /* 1 + the level of that sink; 0: it has none of its own */
};

/* log_uses - whether config has lines go there. */
bool log_uses(const struct log_config *config, enum log_sink sink);

/* log_setup - set where and how to log.  Returns 0, or -1 and errno when a file (mode 0640) cannot be opened, and in
 * *path (NULL: not asked) which; the old setting then stays.  Before the first call: info, logfmt, full addresses,
 * stderr. */
MUSTCHECK int log_setup(const struct log_config *config, const char **path);

/* log_reopen - open the files of the last log_setup anew, after rotation.  Returns 0, or -1 and errno, and in *path
 * (NULL: not asked; borrowed until the next log_setup) which could not be opened: all stay as they were then. */
MUSTCHECK int log_reopen(const char **path);

/* log_descriptor - the descriptor of a sink that is a file, to be passed to a process that cannot open it; -1: it is
 * not in use. */
int log_descriptor(enum log_sink sink);

/* log_adopt - in such a process: have that sink write to fd (taken) by config, whose paths only tell what is in use;
 * what is not is written to no more.  The log daemon's socket is left as it is. */
void log_adopt(const struct log_config *config, enum log_sink sink, int fd);

bool log_enabled(enum log_level level);

/* log_set_level - the least important level from now on, until the next log_setup, of every sink but the error file. */
void log_set_level(enum log_level level);

/* A line being built.  Fields keep their order; values are quoted and escaped as the format asks; a line that grows
 * over the buffer is cut at a field and says so with truncated=true. */
struct log_line {
    enum log_level level;
    enum log_format format; /* of the whole line, should the setting change meanwhile */
    bool on, truncated;
    size_t len, time_end; /* time_end: where what the log daemon is spared ends */
    char text[3072];
};

/* log_begin - start a line: time, level and event.  When the level is off, all that follows costs a branch. */
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_str(struct log_line *line, const char *key, const char *value); /* NULL value: the field is left out */
void log_strn(struct log_line *line, const char *key, const char *value, size_t len);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_uint(struct log_line *line, const char *key, uint64_t value);
void log_addr(struct log_line *line, const char *key, const struct addr *value); /* masked as configured */
void log_end(struct log_line *line);

/* log_msg - a whole line with one text field, msg. */
void log_msg(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
