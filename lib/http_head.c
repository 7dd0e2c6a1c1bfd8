#include "lib/http_head.h"

#include <string.h>
#include <strings.h>

bool http_text_is(struct http_text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

bool http_head_complete(const uint8_t *data, size_t len)
{
    const uint8_t *end = data + len, *newline = data;
    while (newline < end && (newline = memchr(newline, '\n', (size_t)(end - newline))) != NULL) {
        newline++;
        if (newline < end && *newline == '\n') return true;
        if (end - newline >= 2 && newline[0] == '\r' && newline[1] == '\n') return true;
    }
    return false;
}

/* The line at *data without its CR LF, and step over it.  False: it has no end, or bytes that no line may have. */
static bool take_line(const char **data, const char *end, struct http_text *line)
{
    const char *start = *data;
    const char *newline = memchr(start, '\n', (size_t)(end - start));
    if (newline == NULL || newline == start || newline[-1] != '\r') return false;
    *line = (struct http_text){.data = start, .len = (size_t)(newline - 1 - start)};
    *data = newline + 1;
    for (size_t i = 0; i < line->len; i++) {
        unsigned char c = (unsigned char)line->data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_token_byte(char c)
{
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The token at the start of text, which must end in stop; *rest is what follows that.  False: there is none. */
static bool take_token(struct http_text text, char stop, struct http_text *token, struct http_text *rest)
{
    size_t len = 0;
    while (len < text.len && is_token_byte(text.data[len]))
        len++;
    if (len == 0 || len == text.len || text.data[len] != stop) return false;
    *token = (struct http_text){.data = text.data, .len = len};
    *rest = (struct http_text){.data = text.data + len + 1, .len = text.len - len - 1};
    return true;
}

static bool read_request_line(struct http_text line, struct http_head *out)
{
    static const char VERSION[] = "HTTP/1.";
    struct http_text rest;
    if (!take_token(line, ' ', &out->method, &rest)) return false;
    const char *space = memchr(rest.data, ' ', rest.len);
    if (space == NULL || space == rest.data) return false;
    out->target = (struct http_text){.data = rest.data, .len = (size_t)(space - rest.data)};
    const char *version = space + 1;
    size_t left = rest.len - out->target.len - 1;
    return left == sizeof(VERSION) && memcmp(version, VERSION, sizeof(VERSION) - 1) == 0 && version[left - 1] >= '0' &&
           version[left - 1] <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool read_field(struct http_text line, struct http_head *out)
{
    struct http_text name, value;
    if (!take_token(line, ':', &name, &value)) return false;
    if (!http_text_is(name, "Host")) return true;
    if (out->has_host) return false;
    while (value.len > 0 && is_space(value.data[0])) {
        value.data++;
        value.len--;
    }
    while (value.len > 0 && is_space(value.data[value.len - 1]))
        value.len--;
    out->has_host = true;
    out->host = value;
    return true;
}

int http_head_parse(const uint8_t *data, size_t len, struct http_head *out)
{
    *out = (struct http_head){0};
    if (len == 0) return -1;
    const char *at = (const char *)data, *end = at + len;
    struct http_text line;
    if (!take_line(&at, end, &line) || !read_request_line(line, out)) return -1;
    for (;;) {
        if (at == end || !take_line(&at, end, &line)) return -1;
        if (line.len == 0) return 0;
        if (!read_field(line, out)) return -1;
    }
}
