/* log - one line for each event, as logfmt or JSON, to stderr, a file, or the machine's log daemon.
 *
 * Never a secret, never a stanza's body.  Any thread may log; a line is written by one write(2). */
#ifndef POSTERN_LIB_LOG_H
#define POSTERN_LIB_LOG_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_config {
    enum log_level level;
    enum log_format format;
    enum addr_mode addresses;
    const char *path;        /* NULL: stderr */
    const char *syslog_path; /* the log daemon's socket, instead of path; NULL: none */
    int syslog_facility;     /* as for log_syslog_open; lines have no time of their own then */
};

/* log_setup - set where and how to log.  Returns 0, or -1 and errno when the file cannot be opened (mode 0640); the
 * old setting then stays.  Before the first call: info, logfmt, full addresses, stderr. */
MUSTCHECK int log_setup(const struct log_config *config);

/* log_reopen - open the file of the last log_setup anew, after rotation.  Returns 0, or -1 and errno. */
MUSTCHECK int log_reopen(void);

/* log_descriptor - where lines are written now, to be passed to a process that cannot open the file; log_adopt - write
 * to fd (taken) from now on. */
int log_descriptor(void);
void log_adopt(int fd);

bool log_enabled(enum log_level level);

/* log_set_level - the least important level from now on, until the next log_setup. */
void log_set_level(enum log_level level);

/* A line being built.  Fields keep their order; values are quoted and escaped as the format asks; a line that grows
 * over the buffer is cut at a field and says so with truncated=true. */
struct log_line {
    enum log_level level;
    enum log_format format; /* of the whole line, should the setting change meanwhile */
    bool on, truncated;
    size_t len;
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
