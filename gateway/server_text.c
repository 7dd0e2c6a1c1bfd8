#include "gateway/server_text.h"

#include "gateway/balance.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONNECTIONS_MAX = 1000000, HOST_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };

static const char BLANKS[] = " \t";
static const char DIGITS[] = "0123456789";

static int fail(char *why, size_t cap, const char *expected, const char *text, size_t len)
{
    snprintf(why, cap, "expected %s, got \"%.*s\"", expected, (int)(len < 300 ? len : 300), text);
    return -1;
}

/* A number without sign; 0 if it is none or above max. */
static uint32_t read_number(const char *text, size_t len, uint32_t max)
{
    uint32_t n = 0;
    if (len == 0 || len > 7 || strspn(text, DIGITS) < len) return 0;
    for (size_t i = 0; i < len; i++)
        n = n * 10 + (uint32_t)(text[i] - '0');
    return n <= max ? n : 0;
}

/* Labels of letters, digits, hyphens and underscores; the last one is not a number, or an address that is mistyped
 * would be taken for a name. */
static bool is_host(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > HOST_MAX_BYTES) return false;
    for (;;) {
        size_t label = strcspn(text, ".");
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        if (label == 0 || label > LABEL_MAX_BYTES || strspn(text, allowed) != label) return false;
        if (text[label] == '\0') return strspn(text, DIGITS) != label;
        text += label + 1;
        if (*text == '\0') return true; /* a dot at the end: the name is complete */
    }
}

static bool is_every(const struct endpoint *at)
{
    if (at->sa.sa_family == AF_INET) return at->ip.in.sin_addr.s_addr == htonl(INADDR_ANY);
    return at->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&at->ip.in6.sin6_addr);
}

static int read_place(struct server_text *out, char *why, size_t cap)
{
    static const char expected[] = "an address or a host name with a port, such as 192.0.2.1:443, [2001:db8::1]:443 or "
                                   "www.example.com:443, or unix:/path";
    const char *expected_endpoint = NULL;
    size_t len = strlen(out->name);
    if (len > SERVER_NAME_MAX_BYTES) return fail(why, cap, expected, out->name, len);
    if (endpoint_parse(out->name, &out->at, &expected_endpoint) == 0) {
        if (is_every(&out->at)) return fail(why, cap, expected, out->name, len);
        if (out->at.sa.sa_family == AF_UNIX || addr_port(&out->at.ip) != 0) return 0;
        return fail(why, cap, "a port from 1 to 65535", out->name, len);
    }
    if (strncmp(out->name, "unix:", 5) == 0) return fail(why, cap, expected_endpoint, out->name, len);
    out->at = (struct endpoint){0};
    const char *colon = strrchr(out->name, ':');
    if (colon == NULL) return fail(why, cap, expected, out->name, len);
    out->host = mem_strndup(out->name, (size_t)(colon - out->name));
    if (!is_host(out->host)) return fail(why, cap, expected, out->name, len);
    out->port = (uint16_t)read_number(colon + 1, strlen(colon + 1), UINT16_MAX);
    return out->port != 0 ? 0 : fail(why, cap, "a port from 1 to 65535", out->name, len);
}

/* Whether word is "key=…"; the value's length is then in *len. */
static const char *value_of(const char *word, size_t word_len, const char *key, size_t *len)
{
    size_t key_len = strlen(key);
    if (word_len <= key_len || strncmp(word, key, key_len) != 0 || word[key_len] != '=') return NULL;
    *len = word_len - key_len - 1;
    return word + key_len + 1;
}

static int read_parameter(struct server_text *out, const char *word, size_t len, char *why, size_t cap)
{
    const char *value;
    size_t value_len = 0;
    if (len == strlen("backup") && strncmp(word, "backup", len) == 0) {
        if (out->backup) return fail(why, cap, "each parameter once", word, len);
        out->backup = true;
        return 0;
    }
    if ((value = value_of(word, len, "weight", &value_len)) != NULL) {
        if (out->weight != 0) return fail(why, cap, "each parameter once", word, len);
        out->weight = read_number(value, value_len, BALANCE_WEIGHT_MAX);
        return out->weight != 0 ? 0 : fail(why, cap, "a weight from 1 to 256", word, len);
    }
    if ((value = value_of(word, len, "max-connections", &value_len)) != NULL) {
        if (out->max_connections != 0) return fail(why, cap, "each parameter once", word, len);
        out->max_connections = read_number(value, value_len, MAX_CONNECTIONS_MAX);
        return out->max_connections != 0 ? 0 : fail(why, cap, "a number from 1 to 1000000", word, len);
    }
    return fail(why, cap, "weight=NUMBER, max-connections=NUMBER or backup", word, len);
}

int server_text_parse(const char *text, struct server_text *out, char *why, size_t cap)
{
    *out = (struct server_text){0};
    text += strspn(text, BLANKS);
    size_t len = strcspn(text, BLANKS);
    out->name = mem_strndup(text, len);
    int rc = read_place(out, why, cap);
    for (text += len; rc == 0 && *(text += strspn(text, BLANKS)) != '\0'; text += len) {
        len = strcspn(text, BLANKS);
        rc = read_parameter(out, text, len, why, cap);
    }
    if (out->weight == 0) out->weight = 1;
    if (rc < 0) server_text_clear(out);
    return rc;
}

void server_text_clear(struct server_text *server)
{
    free(server->name);
    free(server->host);
    *server = (struct server_text){0};
}
