#include "gateway/server_name.h"

#include <arpa/inet.h>
#include <string.h>

static bool name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static bool is_address(const char *text)
{
    struct in6_addr any;
    return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

enum server_name_kind server_name_clean(const uint8_t *name, size_t len, char *out)
{
    if (len > 0 && name[len - 1] == '.') len--;
    if (len == 0 || len >= SERVER_NAME_BYTES || memchr(name, '\0', len) != NULL) return SERVER_NAME_BAD;

    bool proper = true;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = name[i];
        if (c >= 'A' && c <= 'Z') c = (uint8_t)(c - 'A' + 'a');
        proper = proper && name_byte(c);
        out[i] = (char)c;
    }
    out[len] = '\0';
    /* First, because the colons of IPv6 are not name bytes. */
    if (is_address(out)) return SERVER_NAME_ADDRESS;
    return proper ? SERVER_NAME_HOST : SERVER_NAME_BAD;
}

/* Whether no label is empty or longer than the 63 bytes of RFC 1035. */
static bool labels_proper(const char *name)
{
    for (;;) {
        size_t len = strcspn(name, ".");
        if (len == 0 || len > 63) return false;
        if (name[len] == '\0') return true;
        name += len + 1;
    }
}

int server_name_pattern(const char *text, char *out, const char **why)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80) {
            *why = "a name in ASCII (the xn-- form of an internationalized name)";
            return -1;
        }
    }

    size_t star = strncmp(text, "*.", 2) == 0 ? 2 : 0;
    char host[SERVER_NAME_BYTES];
    enum server_name_kind kind = server_name_clean((const uint8_t *)text + star, strlen(text + star), host);
    if (kind == SERVER_NAME_ADDRESS) {
        *why = "a host name (TLS clients never send an IP address)";
        return -1;
    }
    if (kind == SERVER_NAME_BAD || !labels_proper(host) || strlen(host) + star >= SERVER_NAME_BYTES) {
        *why = "a host name such as \"www.example.com\" or \"*.example.com\"";
        return -1;
    }
    memcpy(out, text, star);
    memcpy(out + star, host, strlen(host) + 1);
    return 0;
}

bool server_name_matches(const char *pattern, const char *name)
{
    if (strncmp(pattern, "*.", 2) != 0) return strcmp(pattern, name) == 0;

    const char *suffix = pattern + 1;
    size_t suffix_len = strlen(suffix);
    size_t len = strlen(name);
    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}
