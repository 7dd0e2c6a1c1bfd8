#include "gateway/refusal_rows.h"

#include "gateway/server_name.h"
#include "lib/http_date.h"
#include "lib/http_head.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    AUTHORITY_BYTES = SERVER_NAME_BYTES + sizeof(":65535"),
    PORT_MAX_DIGITS = 5,
};

static void begin(struct refusal_answer *answer, const char *status)
{
    char date[HTTP_DATE_BYTES];
    refusal_printf(answer, "HTTP/1.1 %s\r\nDate: %s\r\nConnection: close\r\n", status, http_date(date));
}

void refusal_http_400(const struct sight *sight, struct refusal_answer *answer)
{
    static const char BODY[] = "Bad Request\n", HEAD[] = "HEAD ";
    begin(answer, "400 Bad Request");
    refusal_printf(answer, "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", sizeof(BODY) - 1);
    bool head_only = sight->len >= sizeof(HEAD) - 1 && memcmp(sight->data, HEAD, sizeof(HEAD) - 1) == 0;
    if (!head_only) refusal_append(answer, BODY, sizeof(BODY) - 1);
}

/* The text behind a host: nothing, or a colon and perhaps a port.  *port is 0 for none and for those that go without
 * saying. */
static bool read_port(struct http_text text, unsigned *port)
{
    *port = 0;
    if (text.len == 0) return true;
    if (text.data[0] != ':' || text.len > 1 + PORT_MAX_DIGITS) return false;
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *port = *port * 10 + (unsigned)(text.data[i] - '0');
    }
    if (text.len > 1 && (*port == 0 || *port > UINT16_MAX)) return false;
    if (*port == 80 || *port == 443) *port = 0;
    return true;
}

/* The address between the brackets of text, written anew; *len gets the bytes up to and with the closing one. */
static bool read_ipv6(struct http_text text, char *out, size_t *len)
{
    char inner[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *close = memchr(text.data, ']', text.len);
    if (close == NULL) return false;
    *len = (size_t)(close - text.data) + 1;
    size_t inner_len = *len - 2;
    if (inner_len >= sizeof(inner)) return false;
    memcpy(inner, text.data + 1, inner_len);
    inner[inner_len] = '\0';
    if (inet_pton(AF_INET6, inner, &address) != 1) return false;
    CHECK(inet_ntop(AF_INET6, &address, inner, sizeof(inner)) != NULL);
    snprintf(out, SERVER_NAME_BYTES, "[%s]", inner);
    return true;
}

/* A host name or IPv4 address; as for IPv6. */
static bool read_host(struct http_text text, char *out, size_t *len)
{
    const char *colon = memchr(text.data, ':', text.len);
    *len = colon != NULL ? (size_t)(colon - text.data) : text.len;
    if (server_name_clean((const uint8_t *)text.data, *len, out) == SERVER_NAME_BAD) return false;
    return out[0] != '.' && out[strlen(out) - 1] != '.' && strstr(out, "..") == NULL;
}

/* Write host and port in the one form that we send and compare.  False: this is no authority. */
static bool clean_authority(struct http_text text, char out[AUTHORITY_BYTES])
{
    size_t len = 0;
    unsigned port = 0;
    if (text.len == 0) return false;
    bool good = text.data[0] == '[' ? read_ipv6(text, out, &len) : read_host(text, out, &len);
    if (!good || !read_port((struct http_text){text.data + len, text.len - len}, &port)) return false;
    const size_t host_len = strlen(out);
    if (port != 0) snprintf(out + host_len, AUTHORITY_BYTES - host_len, ":%u", port);
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Whether these are bytes of a path and query.  Beyond RFC 3986, browsers send "[]|{}^" as they are. */
static bool is_path(struct http_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (alphanumeric || (c != '\0' && strchr("-._~!$&'()*+,;=:@/?[]|{}^", c) != NULL)) continue;
        if (c != '%' || text.len - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2])) return false;
    }
    return true;
}

/* Split a target in absolute form.  Its host must be the one in Host: what a client is told to visit is never another
 * one than it named there. */
static bool split_absolute(struct http_text target, const char *authority, struct http_text *path)
{
    static const char SCHEME[] = "http://";
    enum { SCHEME_BYTES = sizeof(SCHEME) - 1 };
    if (target.len < SCHEME_BYTES || strncasecmp(target.data, SCHEME, SCHEME_BYTES) != 0) return false;
    struct http_text rest = {target.data + SCHEME_BYTES, target.len - SCHEME_BYTES};
    size_t len = 0;
    while (len < rest.len && rest.data[len] != '/' && rest.data[len] != '?')
        len++;
    char named[AUTHORITY_BYTES];
    if (!clean_authority((struct http_text){rest.data, len}, named) || strcmp(named, authority) != 0) return false;
    *path = (struct http_text){rest.data + len, rest.len - len};
    return true;
}

/* False: there is nowhere to send the client to. */
static bool find_place(const struct http_head *head, char authority[AUTHORITY_BYTES], struct http_text *path)
{
    if (!head->has_host || !clean_authority(head->host, authority)) return false;
    if (head->target.len > REFUSAL_TARGET_MAX_BYTES) return false;
    *path = head->target;
    if (head->target.data[0] != '/' && !split_absolute(head->target, authority, path)) return false;
    return is_path(*path);
}

bool refusal_https_redirect_enough(const struct sight *sight)
{
    return http_head_complete(sight->data, sight->len);
}

void refusal_https_redirect(const struct sight *sight, struct refusal_answer *answer)
{
    struct http_head head;
    char authority[AUTHORITY_BYTES];
    struct http_text path;
    if (http_head_parse(sight->data, sight->len, &head) < 0 || !find_place(&head, authority, &path)) {
        refusal_http_400(sight, answer);
        return;
    }
    bool get = (head.method.len == 3 && memcmp(head.method.data, "GET", 3) == 0) ||
               (head.method.len == 4 && memcmp(head.method.data, "HEAD", 4) == 0);
    begin(answer, get ? "301 Moved Permanently" : "308 Permanent Redirect");
    bool rooted = path.len > 0 && path.data[0] == '/';
    refusal_printf(answer, "Content-Length: 0\r\nLocation: https://%s%s", authority, rooted ? "" : "/");
    refusal_append(answer, path.data, path.len);
    refusal_append(answer, "\r\n\r\n", 4);
}
