#include "lib/log.h"

#include "lib/log_syslog.h"
#include "lib/mem.h"
#include "lib/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* The longest ending of a line: ,"truncated":true} and a newline. */
enum { LOG_TAIL_BYTES = 24, LOG_MSG_BYTES = 1024 };

/* Above every level: a sink that is not in use. */
enum { OFF = LOG_LEVEL_ERROR + 1 };

/* fd: of a file, closed only under the lock's writer side. */
struct sink {
    atomic_int level;
    int fd;
    char *path;
};

/* What each line reads without a lock; least is the least of the sinks' levels. */
static atomic_int log_least = LOG_LEVEL_INFO;
static atomic_int log_format = LOG_FORMAT_LOGFMT;
static atomic_int log_addresses = ADDR_FULL;
static pthread_rwlock_t log_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct sink sinks[LOG_SINKS] = {
    [LOG_SINK_STDERR] = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO},
    [LOG_SINK_FILE] = {.level = OFF, .fd = -1},
    [LOG_SINK_ERROR_FILE] = {.level = OFF, .fd = -1},
    [LOG_SINK_SYSLOG] = {.level = OFF, .fd = -1},
};
static const enum log_sink FILES[] = {LOG_SINK_FILE, LOG_SINK_ERROR_FILE};

static void set_least(void)
{
    int least = OFF;
    for (size_t i = 0; i < LOG_SINKS; i++) {
        const int level = atomic_load(&sinks[i].level);
        if (level < least) least = level;
    }
    atomic_store(&log_least, least);
}

static const char *path_of(const struct log_config *config, enum log_sink sink)
{
    return sink == LOG_SINK_FILE ? config->path : config->error_path;
}

bool log_uses(const struct log_config *config, enum log_sink sink)
{
    switch (sink) {
    case LOG_SINK_STDERR:
        return config->to_stderr || (!config->path && !config->syslog_path);
    case LOG_SINK_FILE:
    case LOG_SINK_ERROR_FILE:
        return path_of(config, sink) != NULL;
    case LOG_SINK_SYSLOG:
        return config->syslog_path != NULL;
    case LOG_SINKS:
        break;
    }
    return false;
}

static void set_level(const struct log_config *config, enum log_sink sink)
{
    const unsigned char own = config->own_level[sink];
    const int level = !log_uses(config, sink) ? (int)OFF : own > 0 ? own - 1 : (int)config->level;
    atomic_store(&sinks[sink].level, level);
}

static void close_files(int fds[LOG_SINKS])
{
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++)
        if (fds[FILES[i]] >= 0) close(fds[FILES[i]]);
}

/* All of them or none.  paths: NULL for a file that is not in use. */
static int open_files(const char *const paths[LOG_SINKS], int fds[LOG_SINKS], const char **failed)
{
    fds[LOG_SINK_FILE] = fds[LOG_SINK_ERROR_FILE] = -1;
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        const char *path = paths[FILES[i]];
        if (!path) continue;
        fds[FILES[i]] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
        if (fds[FILES[i]] >= 0) continue;
        const int error = errno;
        if (failed) *failed = path;
        close_files(fds);
        errno = error;
        return -1;
    }
    return 0;
}

static void swap_fd(struct sink *sink, int fd)
{
    if (sink->fd >= 0) close(sink->fd);
    sink->fd = fd;
}

int log_setup(const struct log_config *config, const char **path)
{
    const char *const paths[LOG_SINKS] = {[LOG_SINK_FILE] = config->path, [LOG_SINK_ERROR_FILE] = config->error_path};
    int fds[LOG_SINKS];
    if (open_files(paths, fds, path) < 0) return -1;
    if (config->syslog_path && log_syslog_open(config->syslog_path, config->syslog_facility) < 0) {
        if (path) *path = config->syslog_path;
        close_files(fds);
        return -1;
    }
    pthread_rwlock_wrlock(&log_lock);
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        struct sink *sink = &sinks[FILES[i]];
        swap_fd(sink, fds[FILES[i]]);
        free(sink->path);
        sink->path = mem_strdup(paths[FILES[i]]);
    }
    for (unsigned i = 0; i < LOG_SINKS; i++)
        set_level(config, (enum log_sink)i);
    pthread_rwlock_unlock(&log_lock);
    set_least();
    atomic_store(&log_format, config->format);
    atomic_store(&log_addresses, config->addresses);
    return 0;
}

int log_reopen(const char **path)
{
    int fds[LOG_SINKS];
    pthread_rwlock_wrlock(&log_lock);
    const char *const paths[LOG_SINKS] = {
        [LOG_SINK_FILE] = sinks[LOG_SINK_FILE].path, [LOG_SINK_ERROR_FILE] = sinks[LOG_SINK_ERROR_FILE].path};
    const int result = open_files(paths, fds, path);
    const int error = errno;
    for (size_t i = 0; i < ARRAY_LEN(FILES) && result == 0; i++)
        if (fds[FILES[i]] >= 0) swap_fd(&sinks[FILES[i]], fds[FILES[i]]);
    pthread_rwlock_unlock(&log_lock);
    errno = error;
    return result;
}

int log_descriptor(enum log_sink sink)
{
    pthread_rwlock_rdlock(&log_lock);
    const int fd = atomic_load(&sinks[sink].level) == OFF ? -1 : sinks[sink].fd;
    pthread_rwlock_unlock(&log_lock);
    return fd;
}

void log_adopt(const struct log_config *config, enum log_sink sink, int fd)
{
    pthread_rwlock_wrlock(&log_lock);
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++)
        if (!log_uses(config, FILES[i])) swap_fd(&sinks[FILES[i]], -1);
    if (sink == LOG_SINK_STDERR)
        close(fd); /* we have our own */
    else
        swap_fd(&sinks[sink], fd);
    for (unsigned i = 0; i < LOG_SINKS; i++) {
        const bool open = i == LOG_SINK_STDERR || sinks[i].fd >= 0;
        if (i != LOG_SINK_SYSLOG && (open || !log_uses(config, (enum log_sink)i))) set_level(config, (enum log_sink)i);
    }
    pthread_rwlock_unlock(&log_lock);
    set_least();
    atomic_store(&log_format, config->format);
    atomic_store(&log_addresses, config->addresses);
}

void log_set_level(enum log_level level)
{
    for (size_t i = 0; i < LOG_SINKS; i++)
        if (i != LOG_SINK_ERROR_FILE && atomic_load(&sinks[i].level) != OFF) atomic_store(&sinks[i].level, (int)level);
    set_least();
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_least, memory_order_relaxed);
}

/* Append; false and nothing appended when it would leave no room for the line's end. */
static bool log_put(struct log_line *line, const char *text, size_t len)
{
    if (len > sizeof(line->text) - LOG_TAIL_BYTES - line->len) return false;
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool log_put_str(struct log_line *line, const char *text)
{
    return log_put(line, text, strlen(text));
}

/* C0 and DEL, and C1 (U+0080 to U+009F), which terminals obey too. */
static bool log_is_control(const unsigned char *s, size_t len)
{
    return (len == 1 && (s[0] < 0x20 || s[0] == 0x7f)) || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

static bool log_put_quoted(struct log_line *line, const char *value, size_t len)
{
    const unsigned char *s = (const unsigned char *)value;
    bool json = line->format == LOG_FORMAT_JSON;
    char escape[8];
    if (!log_put(line, "\"", 1)) return false;
    while (len > 0) {
        size_t n = utf8_len(s, len);
        const char *text = escape;
        size_t text_len = 0;
        if (n == 0)
            snprintf(escape, sizeof(escape), json ? "\\ufffd" : "\\x%02x", s[0]);
        else if (s[0] == '"' || s[0] == '\\')
            snprintf(escape, sizeof(escape), "\\%c", s[0]);
        else if (s[0] == '\n' || s[0] == '\r' || s[0] == '\t')
            snprintf(escape, sizeof(escape), "\\%c", s[0] == '\n' ? 'n' : s[0] == '\r' ? 'r' : 't');
        else if (log_is_control(s, n))
            snprintf(escape, sizeof(escape), "\\u%04x", n == 1 ? s[0] : s[1]);
        else {
            text = (const char *)s;
            text_len = n;
        }
        if (!log_put(line, text, text_len ? text_len : strlen(text))) return false;
        s += n ? n : 1;
        len -= n ? n : 1;
    }
    return log_put(line, "\"", 1);
}

/* Letters and most signs, which need no second look. */
static bool log_is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

static bool log_needs_quotes(const char *value, size_t len)
{
    const unsigned char *s = (const unsigned char *)value;
    if (len == 0) return true;
    while (len > 0) {
        if (log_is_plain(*s)) {
            s++, len--;
            continue;
        }
        size_t n = utf8_len(s, len);
        if (n == 0 || log_is_control(s, n) || strchr(" \"=\\", s[0])) return true;
        s += n;
        len -= n;
    }
    return false;
}

static bool log_put_value(struct log_line *line, const char *value, size_t len)
{
    if (line->format == LOG_FORMAT_JSON || log_needs_quotes(value, len)) return log_put_quoted(line, value, len);
    return log_put(line, value, len);
}

static bool log_put_key(struct log_line *line, const char *key)
{
    if (line->format == LOG_FORMAT_JSON)
        return log_put_str(line, line->len ? ",\"" : "{\"") && log_put_str(line, key) && log_put_str(line, "\":");
    return (line->len == 0 || log_put(line, " ", 1)) && log_put_str(line, key) && log_put(line, "=", 1);
}

/* All fields pass here: a number is written as it is, text is quoted as needed. */
static void log_field(struct log_line *line, const char *key, const char *value, size_t len, bool number)
{
    if (!line->on || line->truncated) return;
    size_t before = line->len;
    if (log_put_key(line, key) && (number ? log_put(line, value, len) : log_put_value(line, value, len))) return;
    line->len = before;
    line->truncated = true;
}

/* Most lines fall into the same second as the one before. */
static void log_put_time(struct log_line *line)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char text[64];
    static _Thread_local size_t len;
    struct timespec ts;
    struct tm tm;
    char millis[] = ".000Z";
    clock_gettime(CLOCK_REALTIME, &ts);
    if (ts.tv_sec != second) {
        second = ts.tv_sec;
        gmtime_r(&second, &tm);
        len = strftime(text, sizeof(text) - sizeof(millis), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    long ms = ts.tv_nsec / 1000000;
    millis[1] = (char)('0' + ms / 100);
    millis[2] = (char)('0' + ms / 10 % 10);
    millis[3] = (char)('0' + ms % 10);
    memcpy(text + len, millis, sizeof(millis));
    log_field(line, "time", text, len + sizeof(millis) - 1, false);
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    line->on = log_enabled(level);
    if (!line->on) return;
    line->level = level;
    line->format = (enum log_format)atomic_load_explicit(&log_format, memory_order_relaxed);
    line->truncated = false;
    line->len = 0;
    log_put_time(line);
    line->time_end = line->len;
    log_str(line, "level", names[level]);
    log_str(line, "event", event);
}

void log_str(struct log_line *line, const char *key, const char *value)
{
    if (line->on && value) log_field(line, key, value, strlen(value), false);
}

void log_strn(struct log_line *line, const char *key, const char *value, size_t len)
{
    if (line->on && value) log_field(line, key, value, len, false);
}

static void log_number(struct log_line *line, const char *key, uint64_t value, bool negative)
{
    char text[24], *at = text + sizeof(text);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative) *--at = '-';
    log_field(line, key, at, (size_t)(text + sizeof(text) - at), true);
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
    if (line->on) log_number(line, key, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
}

void log_uint(struct log_line *line, const char *key, uint64_t value)
{
    if (line->on) log_number(line, key, value, false);
}

void log_addr(struct log_line *line, const char *key, const struct addr *value)
{
    char text[ADDR_TEXT_BYTES];
    if (!line->on) return;
    enum addr_mode mode = (enum addr_mode)atomic_load_explicit(&log_addresses, memory_order_relaxed);
    log_str(line, key, addr_format(value, mode, text, sizeof(text)));
}

static void write_line(int fd, const struct log_line *line)
{
    while (write(fd, line->text, line->len) < 0 && errno == EINTR)
        ;
}

/* The daemon has its own clock. */
static void send_line(const struct log_line *line)
{
    static const int SEVERITIES[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};
    char text[sizeof(line->text)];
    const bool json = line->format == LOG_FORMAT_JSON;
    const size_t len = line->len - line->time_end - 2; /* without what divides it from the time, and the newline */
    memcpy(text + json, line->text + line->time_end + 1, len);
    if (json) text[0] = '{';
    log_syslog_send(SEVERITIES[line->level], text, len + json);
}

void log_end(struct log_line *line)
{
    if (!line->on) return;
    bool json = line->format == LOG_FORMAT_JSON;
    const char *tail =
        json ? (line->truncated ? ",\"truncated\":true}\n" : "}\n") : (line->truncated ? " truncated=true\n" : "\n");
    memcpy(line->text + line->len, tail, strlen(tail)); /* LOG_TAIL_BYTES were kept for it */
    line->len += strlen(tail);
    line->on = false;
    pthread_rwlock_rdlock(&log_lock);
    for (unsigned i = 0; i < LOG_SINKS; i++) {
        if ((int)line->level < atomic_load_explicit(&sinks[i].level, memory_order_relaxed)) continue;
        if (i == LOG_SINK_SYSLOG)
            send_line(line);
        else
            write_line(sinks[i].fd, line);
    }
    pthread_rwlock_unlock(&log_lock);
}

void log_msg(enum log_level level, const char *event, const char *fmt, ...)
{
    struct log_line line;
    char text[LOG_MSG_BYTES];
    va_list ap;
    if (!log_enabled(level)) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_begin(&line, level, event);
    log_str(&line, "msg", text);
    log_end(&line);
}
