#include "lib/cidr.h"

#include "lib/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BITS_V4 = 32, BITS_V6 = 128, BITS_MAPPED = 96 };

static const char EXPECTED[] = "an address or a network such as 192.0.2.0/24 or 2001:db8::/32";
static const char BEHIND_PREFIX[] = "a network whose bits behind the prefix are 0, such as 192.0.2.0/24";

static bool bit_of(const uint8_t *bytes, size_t i)
{
    return (bytes[i / 8] >> (7 - i % 8) & 1) != 0;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, size_t bits)
{
    if (memcmp(a, b, bits / 8) != 0) return false;
    return bits % 8 == 0 || (uint8_t)(a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

static bool parse_bits(const char *text, size_t max, uint8_t *out)
{
    size_t len = strlen(text), bits = 0;
    if (len == 0 || len > 3 || strspn(text, "0123456789") != len) return false;
    for (; *text != '\0'; text++)
        bits = bits * 10 + (size_t)(*text - '0');
    *out = (uint8_t)bits;
    return bits <= max;
}

/* ::ffff:0:0/96 and what lies in it. */
static void unmap(struct cidr *network)
{
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
    if (network->family != 6 || network->bits < BITS_MAPPED) return;
    if (memcmp(network->net, MAPPED, sizeof(MAPPED)) != 0) return;
    network->family = 4;
    network->bits = (uint8_t)(network->bits - BITS_MAPPED);
    memcpy(network->net, network->net + 12, 4);
    memset(network->net + 4, 0, 12);
}

int cidr_parse(const char *text, struct cidr *out, const char **why)
{
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    *out = (struct cidr){0};
    *why = EXPECTED;
    if (len >= sizeof(host)) return -1;
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, out->net) == 1)
        out->family = 4;
    else if (inet_pton(AF_INET6, host, out->net) == 1)
        out->family = 6;
    else
        return -1;
    size_t max = out->family == 4 ? BITS_V4 : BITS_V6;
    out->bits = (uint8_t)max;
    if (text[len] == '/' && !parse_bits(text + len + 1, max, &out->bits)) return -1;
    *why = BEHIND_PREFIX;
    for (size_t i = out->bits; i < max; i++)
        if (bit_of(out->net, i)) return -1;
    unmap(out);
    return 0;
}

char *cidr_format(const struct cidr *network, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN];
    bool v4 = network->family == 4;
    const char *text = inet_ntop(v4 ? AF_INET : AF_INET6, network->net, host, sizeof(host));
    CHECK(text != NULL);
    if (network->bits == (v4 ? BITS_V4 : BITS_V6))
        snprintf(out, cap, "%s", host);
    else
        snprintf(out, cap, "%s/%u", host, (unsigned)network->bits);
    return out;
}

/* The address as a network of its own; false for an unknown one. */
static bool from_addr(const struct addr *a, struct cidr *out)
{
    *out = (struct cidr){0};
    if (a->sa.sa_family == AF_INET) {
        out->family = 4;
        out->bits = BITS_V4;
        memcpy(out->net, &a->in.sin_addr, 4);
        return true;
    }
    if (a->sa.sa_family != AF_INET6) return false;
    out->family = 6;
    out->bits = BITS_V6;
    memcpy(out->net, &a->in6.sin6_addr, 16);
    return true;
}

bool cidr_covers(const struct cidr *wide, const struct cidr *narrow)
{
    return wide->family == narrow->family && wide->bits <= narrow->bits &&
           same_prefix(wide->net, narrow->net, wide->bits);
}

struct cidr cidr_widen(const struct cidr *network, uint8_t bits)
{
    struct cidr wide = {.family = network->family, .bits = bits};
    CHECK(bits <= network->bits);
    memcpy(wide.net, network->net, (bits + 7U) / 8);
    if (bits % 8 != 0) wide.net[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
    return wide;
}

bool cidr_holds(const struct cidr *network, const struct addr *a)
{
    struct cidr one;
    return from_addr(a, &one) && cidr_covers(network, &one);
}

/* By family, then by address; of networks that begin alike the widest is first. */
static int order(const void *left, const void *right)
{
    const struct cidr *a = left, *b = right;
    if (a->family != b->family) return a->family - b->family;
    int by_net = memcmp(a->net, b->net, sizeof(a->net));
    return by_net != 0 ? by_net : a->bits - b->bits;
}

/* Two halves of one network. */
static bool are_halves(const struct cidr *a, const struct cidr *b)
{
    return a->family == b->family && a->bits == b->bits && a->bits > 0 &&
           same_prefix(a->net, b->net, (size_t)a->bits - 1);
}

/* Drop what another network holds already, and join halves, for as long as there are any. */
static void settle(struct cidr_set *set)
{
    if (set->count == 0) return;
    qsort(set->items, set->count, sizeof(*set->items), order);
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (kept > 0 && cidr_covers(&set->items[kept - 1], &set->items[i])) continue;
        set->items[kept++] = set->items[i];
        while (kept > 1 && are_halves(&set->items[kept - 2], &set->items[kept - 1])) {
            set->items[kept - 2].bits--;
            kept--;
        }
    }
    set->count = kept;
}

int cidr_set_read(struct cidr_set *set, const struct option_section *section, const char *option, char *error,
                  size_t cap)
{
    size_t count = option_count(section, option);
    *set = (struct cidr_set){0};
    if (count == 0) return 0;
    set->items = mem_alloc(count * sizeof(*set->items));
    for (size_t i = 0; i < count; i++) {
        const char *text = option_item(section, option, i), *why;
        if (cidr_parse(text, &set->items[set->count++], &why) < 0)
            return option_error(section, option, error, cap, "expected %s, not \"%s\"", why, text);
    }
    settle(set);
    return 0;
}

void cidr_set_clear(struct cidr_set *set)
{
    free(set->items);
    *set = (struct cidr_set){0};
}

/* The only one that could cover it is the last that begins no later. */
static bool set_covers_one(const struct cidr_set *set, const struct cidr *one)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&set->items[middle], one) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && cidr_covers(&set->items[low - 1], one);
}

bool cidr_set_holds(const struct cidr_set *set, const struct addr *a)
{
    struct cidr one;
    return from_addr(a, &one) && set_covers_one(set, &one);
}

bool cidr_set_covers(const struct cidr_set *wide, const struct cidr_set *narrow)
{
    for (size_t i = 0; i < narrow->count; i++)
        if (!set_covers_one(wide, &narrow->items[i])) return false;
    return true;
}

bool cidr_set_admits(const struct cidr_set *set, const struct addr *a)
{
    static const char *const LOOPBACK[] = {"127.0.0.0/8", "::1"};
    if (set->count > 0) return cidr_set_holds(set, a);
    for (size_t i = 0; i < ARRAY_LEN(LOOPBACK); i++) {
        struct cidr network;
        const char *why;
        CHECK(cidr_parse(LOOPBACK[i], &network, &why) == 0);
        if (cidr_holds(&network, a)) return true;
    }
    return false;
}
