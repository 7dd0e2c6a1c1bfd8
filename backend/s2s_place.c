#include "backend/s2s_place.h"

#include "backend/jid.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { HOST_BYTES = 256 };

/* The port behind the colon; 0: it is none. */
static uint16_t parse_port(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0') return 0;
    const long port = strtol(text, NULL, 10);
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* Not the prepared name: in that A-labels have become letters beyond ASCII, which DNS has not. */
static char *dns_name(const char *host, const char *prepared)
{
    if (host[0] == '[') return mem_strndup(prepared + 1, strlen(prepared) - 2);
    const size_t len = strlen(host);
    char *name = mem_strndup(host, host[len - 1] == '.' ? len - 1 : len);
    for (char *c = name; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    return name;
}

bool s2s_place_parse(const char *text, enum s2s_tls tls, struct s2s_place *place)
{
    char host[HOST_BYTES], prepared[JID_PART_MAX_BYTES + 1];
    const char *why = NULL, *bracket = strrchr(text, ']');
    const char *colon = strchr(bracket ? bracket : text, ':');
    const size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (len >= sizeof(host)) return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80) return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (jid_prepare_domain(host, prepared, &why) != 0) return false;
    const uint16_t port = colon ? parse_port(colon + 1) : tls == S2S_TLS_DIRECT ? S2S_DIRECT_PORT : S2S_PORT;
    if (port == 0) return false;
    *place = (struct s2s_place){.name = dns_name(host, prepared), .port = port, .tls = tls};
    return true;
}
