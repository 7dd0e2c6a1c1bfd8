#include "lib/option_text.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct option_scan {
    const char *path;
    char *p;         /* the next character */
    int line;        /* the line it is in */
    int depth;       /* open braces */
    int open_line;   /* where the outermost open brace is */
    char last[2];    /* the last two characters that were no space; last[1] is the newer one */
    bool token_open; /* the character before belongs to an unquoted word */
    char *error;
    size_t cap;
};

static PRINTF_LIKE(3, 4) int scan_error(const struct option_scan *s, int line, const char *fmt, ...)
{
    int n = snprintf(s->error, s->cap, "%s:%d: ", s->path, line);
    if (n < 0 || (size_t)n >= s->cap) return -1;
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->error + n, s->cap - (size_t)n, fmt, args);
    va_end(args);
    return -1;
}

static void scan_line_comment(struct option_scan *s)
{
    while (*s->p != '\n' && *s->p != '\0')
        *s->p++ = ' ';
}

static int scan_block_comment(struct option_scan *s)
{
    int start = s->line;
    const char *end = strstr(s->p + 2, "*/");
    if (end == NULL) return scan_error(s, start, "this comment is never closed");
    for (end += 2; s->p < end; s->p++) {
        if (*s->p == '\n')
            s->line++;
        else
            *s->p = ' ';
    }
    return 0;
}

/* A variable that is not set would silently become an empty text. */
static int scan_variable(struct option_scan *s)
{
    const char *name = s->p + 2;
    size_t len = strcspn(name, "}\"\n");
    if (name[len] != '}') return scan_error(s, s->line, "\"${\" is never closed");
    const char *fallback = memchr(name, ':', len);
    if (fallback && fallback[1] == '-') {
        s->p += 2 + len;
        return 0;
    }
    char *copy = mem_strndup(name, len);
    bool is_set = getenv(copy) != NULL;
    if (!is_set) scan_error(s, s->line, "the environment variable \"%s\" is not set", copy);
    free(copy);
    s->p += 2 + len;
    return is_set ? 0 : -1;
}

/* What libconfuse makes of other escapes is surprising, and some leave its lexer inside the string for ever. */
static int scan_escape(struct option_scan *s)
{
    if (s->p[1] == '\0' || strchr("\"\\'$nrt\n", s->p[1]) == NULL)
        return scan_error(s, s->line, "unknown escape \"\\%.1s\" in a text; single quotes keep backslashes", s->p + 1);
    if (*++s->p == '\n') s->line++;
    return 0;
}

static int scan_string(struct option_scan *s)
{
    char quote = *s->p++;
    int start = s->line;
    for (; *s->p != quote; s->p++) {
        if (*s->p == '\0') return scan_error(s, start, "this text is never closed: %c is missing", quote);
        if (*s->p == '\n') s->line++;
        if (quote == '\'') {
            if (*s->p == '\\' && (s->p[1] == '\\' || s->p[1] == '\'')) s->p++;
            continue;
        }
        if (*s->p == '\\') {
            if (scan_escape(s) < 0) return -1;
        } else if (*s->p == '$' && s->p[1] == '{' && scan_variable(s) < 0) {
            return -1;
        }
    }
    s->p++;
    return 0;
}

static int scan_brace(struct option_scan *s)
{
    if (*s->p == '{') {
        if (s->depth++ == 0) s->open_line = s->line;
        return 0;
    }
    if (s->depth-- == 0) return scan_error(s, s->line, "\"}\" without a \"{\" before it");
    if (s->last[1] == '{' && s->last[0] == '=')
        return scan_error(s, s->line, "expected at least one value between \"{\" and \"}\"");
    return 0;
}

/* Outside of texts and comments. */
static int scan_plain(struct option_scan *s)
{
    unsigned char c = (unsigned char)*s->p;
    if (strchr(" \t\r\n", c) == NULL && (c < ' ' || c == 0x7f))
        return scan_error(s, s->line, "not a configuration file: it holds a byte 0x%02x", c);
    if (c == '*' || c == '+' || (c == '$' && s->p[1] == '{'))
        return scan_error(s, s->line, "a value with \"%s\" in it must be written in quotes",
                          c == '$' ? "${" : (char[]){(char)c, 0});
    if ((c == '{' || c == '}') && scan_brace(s) < 0) return -1;
    if (c == '\n') s->line++;
    s->p++;
    s->token_open = strchr(" \t\r\n={}(),", c) == NULL;
    if (strchr(" \t\r\n", c) == NULL) {
        s->last[0] = s->last[1];
        s->last[1] = (char)c;
    }
    return 0;
}

static int scan_step(struct option_scan *s)
{
    char c = *s->p, next = s->p[1];
    /* Two slashes inside a word are part of it, as in unix://path. */
    bool slash = c == '/' && !s->token_open;
    if (c != '#' && c != '"' && c != '\'' && !(slash && (next == '/' || next == '*'))) return scan_plain(s);
    s->token_open = false;
    if (c == '"' || c == '\'') {
        s->last[0] = s->last[1];
        s->last[1] = c;
        return scan_string(s);
    }
    if (next == '*' && c == '/') return scan_block_comment(s);
    scan_line_comment(s);
    return 0;
}

static int scan_text(char *text, size_t len, const char *path, char *error, size_t cap)
{
    struct option_scan s = {.path = path, .p = text, .line = 1, .error = error, .cap = cap};
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) memset(text, ' ', 3);
    while (*s.p)
        if (scan_step(&s) < 0) return -1;
    if (s.p < text + len) return scan_error(&s, s.line, "not a configuration file: it holds a byte 0x00");
    if (s.depth > 0) return scan_error(&s, s.open_line, "\"{\" is never closed: \"}\" is missing");
    return 0;
}

/* Returns the file's bytes, a newline and a NUL. */
static char *read_all(int fd, const char *path, size_t *len, char *error, size_t cap)
{
    char *text = NULL;
    size_t room = 0;
    *len = 0;
    for (;;) {
        if (room - *len < 4096) {
            room = room ? room * 2 : 16384;
            text = mem_realloc(text, room);
        }
        ssize_t n = read(fd, text + *len, room - *len - 2);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) snprintf(error, cap, "%s: cannot be read: %s", path, strerror(errno));
        if (n >= 0) *len += (size_t)n;
        if (*len > OPTION_TEXT_MAX_BYTES) snprintf(error, cap, "%s: larger than 4 MiB", path);
        if (n < 0 || *len > OPTION_TEXT_MAX_BYTES) {
            free(text);
            return NULL;
        }
        if (n == 0) break;
    }
    if (*len == 0 || text[*len - 1] != '\n') text[(*len)++] = '\n';
    text[*len] = '\0';
    return text;
}

char *option_text_read(const char *path, bool *readable, char *error, size_t cap)
{
    *readable = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, cap, "%s: cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        snprintf(error, cap, "%s: expected a file, this is a folder", path);
        close(fd);
        return NULL;
    }
    size_t len;
    char *text = read_all(fd, path, &len, error, cap);
    close(fd);
    *readable = text != NULL;
    if (text && scan_text(text, len, path, error, cap) < 0) {
        free(text);
        return NULL;
    }
    return text;
}
