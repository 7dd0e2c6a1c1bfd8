#include "gateway/destination.h"

#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char EXPECTED[] = "an address or a network, alone or with a port: 192.0.2.1, 192.0.2.0/24:443, "
                               "[2001:db8::1]:443, *:443 (every IPv4 address), [*]:443 (every IPv6 address); bits "
                               "behind a prefix are 0";
static const char BAD_PORT[] = "a port from 1 to 65535 after the last colon";

static bool parse_port(const char *text, uint16_t *out)
{
    size_t len = strlen(text), port = 0;
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) return false;
    for (; *text != '\0'; text++)
        port = port * 10 + (size_t)(*text - '0');
    *out = (uint16_t)port;
    return port > 0 && port <= 65535;
}

/* Where the host ends: at the bracket, at the only colon, or with the text. */
static const char *host_end(const char *text, bool bracketed)
{
    if (bracketed) return strchr(text, ']');
    const char *colon = strchr(text, ':');
    return colon != NULL && strchr(colon + 1, ':') == NULL ? colon : text + strlen(text);
}

int destination_parse(const char *text, struct destination *out, const char **why)
{
    char host[CIDR_TEXT_BYTES];
    const char *ignored;
    bool bracketed = text[0] == '[';
    const char *start = text + bracketed, *end = host_end(text, bracketed);
    *out = (struct destination){0};
    *why = EXPECTED;
    if (end == NULL || (size_t)(end - start) >= sizeof(host)) return -1;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    end += bracketed;
    bool every = strcmp(host, "*") == 0;
    if (every && *end == '\0') return -1; /* that is no condition */
    if (every)
        out->network.family = bracketed ? 6 : 4;
    else if (cidr_parse(host, &out->network, &ignored) < 0)
        return -1;
    if (bracketed && strchr(host, ':') == NULL && !every) return -1;
    if (*end == '\0') return 0;
    if (*end != ':') return -1;
    *why = BAD_PORT;
    return parse_port(end + 1, &out->port) ? 0 : -1;
}

char *destination_format(const struct destination *destination, char *out, size_t cap)
{
    char host[CIDR_TEXT_BYTES];
    const struct cidr *network = &destination->network;
    bool v6 = network->family == 6;
    if (network->bits == 0 && destination->port != 0)
        snprintf(host, sizeof(host), "*");
    else
        cidr_format(network, host, sizeof(host));
    if (destination->port == 0)
        snprintf(out, cap, "%s", host);
    else
        snprintf(out, cap, v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)destination->port);
    return out;
}

int destination_list_read(struct destination_list *list, const struct option_section *section, const char *option,
                          char *error, size_t cap)
{
    size_t count = option_count(section, option);
    *list = (struct destination_list){0};
    if (count == 0) return 0;
    list->items = mem_alloc(count * sizeof(*list->items));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(section, option, i), *why;
        if (destination_parse(text, &list->items[list->count++], &why) < 0)
            return option_error(section, option, error, cap, "expected %s, not \"%s\"", why, text);
    }
    return 0;
}

void destination_list_clear(struct destination_list *list)
{
    free(list->items);
    *list = (struct destination_list){0};
}

bool destination_list_holds(const struct destination_list *list, const struct addr *a)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct destination *one = &list->items[i];
        if ((one->port == 0 || one->port == addr_port(a)) && cidr_holds(&one->network, a)) return true;
    }
    return false;
}

static bool covers_one(const struct destination_list *wide, const struct destination *one)
{
    for (size_t i = 0; i < wide->count; i++) {
        const struct destination *other = &wide->items[i];
        if ((other->port == 0 || other->port == one->port) && cidr_covers(&other->network, &one->network)) return true;
    }
    return false;
}

bool destination_list_covers(const struct destination_list *wide, const struct destination_list *narrow)
{
    for (size_t i = 0; i < narrow->count; i++)
        if (!covers_one(wide, &narrow->items[i])) return false;
    return true;
}
