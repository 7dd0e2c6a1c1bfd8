#include "gateway/balance.h"

#include <math.h>
#include <string.h>

/* The finalizer of SplitMix64 (Steele, Lea and Flood 2014): every bit of x changes half of the result's. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t mix_bytes(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t hash = len;
    for (size_t i = 0; i < len; i++)
        hash = mix(hash ^ bytes[i]);
    return hash;
}

uint64_t balance_seed(const char *name)
{
    return mix_bytes(name, strlen(name));
}

uint64_t balance_source(const struct addr *client)
{
    const uint8_t *bytes = NULL;
    const size_t len = addr_source(client, &bytes);
    return len == 0 ? 0 : mix_bytes(bytes, len);
}

static size_t lowest(uint64_t set)
{
    return (size_t)__builtin_ctzll(set);
}

/* Each gains its weight; the richest is chosen and pays the sum of all. */
static size_t by_turns(struct balance_server *servers, uint64_t eligible)
{
    size_t best = lowest(eligible);
    int32_t sum = 0;
    for (uint64_t left = eligible; left != 0; left &= left - 1) {
        size_t i = lowest(left);
        sum += (int32_t)servers[i].weight;
        servers[i].turn += (int32_t)servers[i].weight;
        if (servers[i].turn > servers[best].turn) best = i;
    }
    servers[best].turn -= sum;
    return best;
}

/* The sign of a's load less b's, in connections for each unit of weight. */
static int64_t compare_loads(const struct balance_server *a, const struct balance_server *b)
{
    return (int64_t)a->connections * b->weight - (int64_t)b->connections * a->weight;
}

/* Those that are equal take turns. */
static size_t by_load(struct balance_server *servers, uint64_t eligible)
{
    uint64_t equal = 0;
    size_t best = lowest(eligible);
    for (uint64_t left = eligible; left != 0; left &= left - 1) {
        size_t i = lowest(left);
        int64_t order = compare_loads(&servers[i], &servers[best]);
        if (order < 0) {
            best = i;
            equal = 0;
        }
        if (order <= 0) equal |= UINT64_C(1) << i;
    }
    return by_turns(servers, equal);
}

static size_t by_source(const struct balance_server *servers, uint64_t eligible, uint64_t source)
{
    size_t best = lowest(eligible);
    double best_score = -1;
    for (uint64_t left = eligible; left != 0; left &= left - 1) {
        size_t i = lowest(left);
        /* Evenly spread over (0, 1); 2^-53 is the step of a double there. */
        double chance = ((double)(mix(source ^ servers[i].seed) >> 11) + 0.5) * 0x1p-53;
        double score = servers[i].weight / -log(chance);
        if (score <= best_score) continue;
        best = i;
        best_score = score;
    }
    return best;
}

size_t balance_choose(enum balance how, struct balance_server *servers, uint64_t eligible, uint64_t source)
{
    CHECK(eligible != 0);
    switch (how) {
    case BALANCE_ROUND_ROBIN:
        return by_turns(servers, eligible);
    case BALANCE_LEAST_CONNECTIONS:
        return by_load(servers, eligible);
    case BALANCE_SOURCE_HASH:
        return by_source(servers, eligible, source);
    case BALANCE_FIRST:
        break;
    }
    return lowest(eligible);
}
