/* map - a hash map from byte strings to pointers.
 *
 * Keys come from strangers, so the hash is SipHash-1-3 (Aumasson and Bernstein) under a key drawn at random once
 * for each process; hash_bytes is that hash for anyone who shards by key. */
#ifndef POSTERN_LIB_MAP_H
#define POSTERN_LIB_MAP_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

struct map *map_new(void);

/* map_free - free the map and its copies of the keys, not the values. */
void map_free(struct map **map);

/* map_get - the value, or NULL. */
void *map_get(const struct map *map, const void *key, size_t key_len);
void *map_get_str(const struct map *map, const char *key);

/* map_set - store value (not NULL) under a copy of the key; returns the value that was there, or NULL. */
void *map_set(struct map *map, const void *key, size_t key_len, void *value);
void *map_set_str(struct map *map, const char *key, void *value);

/* map_del - take an entry out; returns its value, or NULL if there was none. */
void *map_del(struct map *map, const void *key, size_t key_len);
void *map_del_str(struct map *map, const char *key);

/* map_each - call fn for each entry, in no order; fn may not change the map.  fn returns false to stop. */
typedef bool map_fn(const void *key, size_t key_len, void *value, void *arg);
void map_each(const struct map *map, map_fn *fn, void *arg);

/* hash_bytes - the keyed hash that the map uses; hash_keyed - the same under a key of one's own, for what outlives or
 * leaves the process. */
uint64_t hash_bytes(const void *data, size_t len);
uint64_t hash_keyed(const uint64_t key[2], const void *data, size_t len);

#endif
