#include "backend/s2s_srv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { HEAD_BYTES = 6, LABEL_MAX_BYTES = 63 };

static unsigned number_at(const uint8_t *data)
{
    return (unsigned)data[0] << 8 | data[1];
}

/* Letters, digits, hyphens; and underscores, which some have in names of hosts. */
static bool take_char(uint8_t c, char *out)
{
    *out = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return (*out >= 'a' && *out <= 'z') || (*out >= '0' && *out <= '9') || *out == '-' || *out == '_';
}

/* A name in wire format, not compressed, that fills the bytes; as text.  Returns its length, or -1. */
static int name_to_text(const uint8_t *data, size_t len, char *out)
{
    size_t at = 0, n = 0;
    if (len == 0 || len >= S2S_SRV_NAME_BYTES) return -1;
    while (at < len && data[at] != 0) {
        const size_t label = data[at++];
        if (label > LABEL_MAX_BYTES || at + label >= len) return -1;
        if (n > 0) out[n++] = '.';
        for (size_t i = 0; i < label; i++)
            if (!take_char(data[at++], &out[n++])) return -1;
    }
    if (at + 1 != len) return -1;
    out[n] = '\0';
    return (int)n;
}

enum s2s_srv_kind s2s_srv_parse(const uint8_t *data, size_t len, struct s2s_srv *out)
{
    memset(out, 0, sizeof(*out));
    if (len <= HEAD_BYTES) return S2S_SRV_UNUSABLE;
    out->priority = (uint16_t)number_at(data);
    out->weight = (uint16_t)number_at(data + 2);
    out->port = (uint16_t)number_at(data + 4);
    const int n = name_to_text(data + HEAD_BYTES, len - HEAD_BYTES, out->target);
    if (n < 0) return S2S_SRV_UNUSABLE;
    if (n == 0) return S2S_SRV_NONE;
    return out->port > 0 ? S2S_SRV_HOST : S2S_SRV_UNUSABLE;
}

/* Those of weight 0 come first, or they had no chance at all. */
static int compare(const void *a, const void *b)
{
    const struct s2s_srv *x = a, *y = b;
    if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
    return (x->weight > 0) - (y->weight > 0);
}

static void swap(struct s2s_srv *a, struct s2s_srv *b)
{
    const struct s2s_srv kept = *a;
    *a = *b;
    *b = kept;
}

/* The next one of those with the same priority: the sum up to it is the first that reaches a random number. */
static size_t pick(const struct s2s_srv *records, size_t count, uint32_t (*chance)(uint32_t most))
{
    uint32_t sum = 0, reached = 0;
    for (size_t i = 0; i < count; i++)
        sum += records[i].weight;
    const uint32_t wanted = chance(sum);
    for (size_t i = 0; i < count; i++) {
        reached += records[i].weight;
        if (reached >= wanted) return i;
    }
    return count - 1;
}

/* What is picked moves to the front, and leaves the order of the others as it is. */
static void order_equals(struct s2s_srv *records, size_t count, uint32_t (*chance)(uint32_t most))
{
    for (size_t done = 0; done + 1 < count; done++)
        for (size_t i = done + pick(records + done, count - done, chance); i > done; i--)
            swap(&records[i], &records[i - 1]);
}

void s2s_srv_order(struct s2s_srv *records, size_t count, uint32_t (*chance)(uint32_t most))
{
    if (count < 2) return;
    qsort(records, count, sizeof(struct s2s_srv), compare);
    for (size_t start = 0, end = 0; start < count; start = end) {
        while (end < count && records[end].priority == records[start].priority)
            end++;
        order_equals(records + start, end - start, chance);
    }
}

uint32_t s2s_srv_chance(uint32_t most)
{
    uint32_t number = 0;
    CHECK(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return most == UINT32_MAX ? number : number % (most + 1);
}
