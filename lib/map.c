#include "lib/map.h"

#include "lib/mem.h"

#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { MAP_FIRST_BITS = 3 };

struct map_entry {
    void *value;
    size_t key_len;
    char key[];
};

struct map_slot {
    uint64_t hash;
    struct map_entry *entry; /* NULL: free */
};

/* Open addressing with linear probing: no free slot lies between an entry and its home.  Kept between 1/8 and 3/4
 * full; an empty map has no slots. */
struct map {
    struct map_slot *slots;
    unsigned bits; /* 1 << bits slots, if slots is not NULL */
    size_t count;
};

static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void hash_draw_key(void)
{
    CHECK(getrandom(hash_key, sizeof(hash_key), 0) == sizeof(hash_key));
}

static inline uint64_t hash_rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void hash_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = hash_rotl(v[1], 13) ^ v[0];
    v[3] = hash_rotl(v[3], 16) ^ v[2];
    v[0] = hash_rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = hash_rotl(v[1], 17) ^ v[2];
    v[3] = hash_rotl(v[3], 21) ^ v[0];
    v[2] = hash_rotl(v[2], 32);
}

/* SipHash with one round for each word and three at the end. */
uint64_t hash_keyed(const uint64_t key[2], const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t word, v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                           key[1] ^ 0x7465646279746573};
    for (size_t words = len / 8; words > 0; words--, p += 8) {
        memcpy(&word, p, 8);
        word = le64toh(word);
        v[3] ^= word;
        hash_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (len % 8) memcpy(&word, p, len % 8);
    word = le64toh(word) | (uint64_t)len << 56;
    v[3] ^= word;
    hash_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        hash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_bytes(const void *data, size_t len)
{
    pthread_once(&hash_key_once, hash_draw_key);
    return hash_keyed(hash_key, data, len);
}

struct map *map_new(void)
{
    return MEM_NEW(struct map);
}

void map_free(struct map **map)
{
    struct map *m = *map;
    if (!m) return;
    *map = NULL;
    for (size_t i = 0; m->slots && i < (size_t)1 << m->bits; i++)
        free(m->slots[i].entry);
    free(m->slots);
    free(m);
}

static size_t map_mask(const struct map *map)
{
    return ((size_t)1 << map->bits) - 1;
}

/* Keys are sharded by the same hash, so that its low bits may be the same for all keys of a map: mix them anew. */
static size_t map_home(const struct map *map, uint64_t hash)
{
    return (size_t)((hash * 0x9e3779b97f4a7c15) >> (64 - map->bits));
}

/* The slot that has the key, or the free one where it belongs; the map has slots. */
static struct map_slot *map_find(const struct map *map, uint64_t hash, const void *key, size_t key_len)
{
    for (size_t i = map_home(map, hash);; i = (i + 1) & map_mask(map)) {
        struct map_slot *slot = &map->slots[i];
        if (!slot->entry) return slot;
        if (slot->hash == hash && slot->entry->key_len == key_len &&
            (key_len == 0 || memcmp(slot->entry->key, key, key_len) == 0))
            return slot;
    }
}

static void map_resize(struct map *map, unsigned bits)
{
    struct map bigger = {.slots = mem_alloc(sizeof(struct map_slot) << bits), .bits = bits, .count = map->count};
    for (size_t i = 0; map->slots && i <= map_mask(map); i++) {
        if (!map->slots[i].entry) continue;
        size_t at = map_home(&bigger, map->slots[i].hash);
        while (bigger.slots[at].entry)
            at = (at + 1) & map_mask(&bigger);
        bigger.slots[at] = map->slots[i];
    }
    free(map->slots);
    *map = bigger;
}

void *map_get(const struct map *map, const void *key, size_t key_len)
{
    if (!map->slots) return NULL;
    struct map_slot *slot = map_find(map, hash_bytes(key, key_len), key, key_len);
    return slot->entry ? slot->entry->value : NULL;
}

void *map_get_str(const struct map *map, const char *key)
{
    return map_get(map, key, strlen(key));
}

void *map_set(struct map *map, const void *key, size_t key_len, void *value)
{
    CHECK(value != NULL);
    uint64_t hash = hash_bytes(key, key_len);
    struct map_slot *slot = map->slots ? map_find(map, hash, key, key_len) : NULL;
    if (slot && slot->entry) {
        void *old = slot->entry->value;
        slot->entry->value = value;
        return old;
    }
    if (!slot || (map->count + 1) * 4 > (map_mask(map) + 1) * 3) {
        map_resize(map, slot ? map->bits + 1 : MAP_FIRST_BITS);
        slot = map_find(map, hash, key, key_len);
    }
    struct map_entry *entry = mem_alloc(sizeof(*entry) + key_len);
    entry->value = value;
    entry->key_len = key_len;
    if (key_len) memcpy(entry->key, key, key_len);
    *slot = (struct map_slot){.hash = hash, .entry = entry};
    map->count++;
    return NULL;
}

void *map_set_str(struct map *map, const char *key, void *value)
{
    return map_set(map, key, strlen(key), value);
}

/* Close the hole: move back each entry behind it that may not lie beyond a free slot. */
static void map_close_hole(struct map *map, size_t hole)
{
    size_t mask = map_mask(map);
    for (size_t i = (hole + 1) & mask; map->slots[i].entry; i = (i + 1) & mask) {
        size_t from_home = (i - map_home(map, map->slots[i].hash)) & mask;
        if (from_home < ((i - hole) & mask)) continue;
        map->slots[hole] = map->slots[i];
        hole = i;
    }
    map->slots[hole] = (struct map_slot){0};
}

void *map_del(struct map *map, const void *key, size_t key_len)
{
    if (!map->slots) return NULL;
    struct map_slot *slot = map_find(map, hash_bytes(key, key_len), key, key_len);
    if (!slot->entry) return NULL;
    void *value = slot->entry->value;
    free(slot->entry);
    map_close_hole(map, (size_t)(slot - map->slots));
    map->count--;
    if (map->count == 0) {
        free(map->slots);
        *map = (struct map){0};
    } else if (map->bits > MAP_FIRST_BITS && map->count * 8 < map_mask(map) + 1) {
        map_resize(map, map->bits - 1);
    }
    return value;
}

void *map_del_str(struct map *map, const char *key)
{
    return map_del(map, key, strlen(key));
}

void map_each(const struct map *map, map_fn *fn, void *arg)
{
    for (size_t i = 0; map->slots && i <= map_mask(map); i++) {
        struct map_entry *entry = map->slots[i].entry;
        if (entry && !fn(entry->key, entry->key_len, entry->value, arg)) return;
    }
}
