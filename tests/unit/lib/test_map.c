#include "lib/map.c" /* NOLINT(bugprone-suspicious-include): the hash under a known key is not for anyone else */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static int values[5000];

/* The key 00..0f over the messages (), (00), (00 01) ...: made by a second implementation, which gives the
 * published vectors of SipHash-2-4 when its rounds are two and four. */
static void test_siphash_vectors(void **state)
{
    (void)state;
    static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    static const uint64_t expected[] = {0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb,
                                        0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140,
                                        0x369095118d299a8e, 0x25a48eb36c063de4, 0x79de85ee92ff097f, 0x70c118c1f94dc352,
                                        0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34, 0xd320d86d2a519956};
    unsigned char message[32] = {0};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(hash_keyed(key, message, i) == expected[i]);
        message[i] = (unsigned char)i;
    }
}

static void test_hash_is_keyed_and_stable(void **state)
{
    (void)state;
    assert_true(hash_bytes("abc", 3) == hash_bytes("abc", 3));
    assert_true(hash_bytes("abc", 3) != hash_bytes("abd", 3));
    assert_true(hash_bytes("abc", 3) != hash_bytes("abc", 2));
    assert_true((hash_key[0] | hash_key[1]) != 0);
}

static void test_basics(void **state)
{
    (void)state;
    struct map *map = map_new();
    assert_null(map_get_str(map, "a"));
    assert_null(map_del_str(map, "a"));
    assert_int_equal(map->count, 0);
    assert_null(map_set_str(map, "a", &values[1]));
    assert_ptr_equal(map_get(map, "a", 1), &values[1]);
    assert_ptr_equal(map_set_str(map, "a", &values[2]), &values[1]);
    assert_int_equal(map->count, 1);
    assert_null(map_get_str(map, "b"));
    assert_ptr_equal(map_del_str(map, "a"), &values[2]);
    assert_null(map_get_str(map, "a"));
    assert_null(map->slots);
    map_free(&map);
    assert_null(map);
    map_free(&map);
}

static void test_keys_are_bytes(void **state)
{
    (void)state;
    struct map *map = map_new();
    char key[] = {'a', '\0', 'b'};
    assert_null(map_set(map, key, 3, &values[0]));
    assert_null(map_set(map, key, 2, &values[1]));
    assert_null(map_set(map, "", 0, &values[2]));
    key[2] = 'c'; /* the map keeps a copy */
    assert_null(map_get(map, key, 3));
    assert_ptr_equal(map_get(map, "a\0b", 3), &values[0]);
    assert_ptr_equal(map_get(map, "a\0", 2), &values[1]);
    assert_ptr_equal(map_get(map, "", 0), &values[2]);
    assert_null(map_get_str(map, "a"));
    map_free(&map);
}

/* The invariants above struct map. */
static void assert_sound(const struct map *map)
{
    size_t count = 0;
    if (!map->slots) {
        assert_int_equal(map->count, 0);
        return;
    }
    for (size_t i = 0; i <= map_mask(map); i++) {
        if (!map->slots[i].entry) continue;
        count++;
        for (size_t at = map_home(map, map->slots[i].hash); at != i; at = (at + 1) & map_mask(map))
            assert_non_null(map->slots[at].entry);
    }
    assert_int_equal(count, map->count);
    assert_true(count > 0 && count * 4 <= (map_mask(map) + 1) * 3);
    assert_true(map->bits == MAP_FIRST_BITS || count * 8 >= map_mask(map) + 1);
}

/* A fixed sequence that looks random: a failure shows again. */
static size_t next_random(void)
{
    static uint64_t seed = 7;
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (size_t)(seed >> 33);
}

/* A long random life beside a model. */
static void test_random_life(void **state)
{
    (void)state;
    bool present[ARRAY_LEN(values)] = {false};
    size_t count = 0, most = 0;
    struct map *map = map_new();
    for (int turn = 0; turn < 60000; turn++) {
        size_t range = turn % 20000 < 10000 ? ARRAY_LEN(values) : 60;
        size_t i = next_random() % range;
        bool add = turn % 20000 < 8000 ? next_random() % 8 != 0 : next_random() % 8 == 0;
        char key[16];
        if (turn % 20000 >= 8000 && !add && turn % 3) i = (size_t)turn * 7 % ARRAY_LEN(values);
        snprintf(key, sizeof(key), "key%zu", i);
        assert_ptr_equal(map_get_str(map, key), present[i] ? &values[i] : NULL);
        void *old = add ? map_set_str(map, key, &values[i]) : map_del_str(map, key);
        assert_ptr_equal(old, present[i] ? &values[i] : NULL);
        if (add != present[i]) count += add ? 1 : (size_t)-1;
        present[i] = add;
        if (count > most) most = count;
        assert_int_equal(map->count, count);
        if (turn % 500 == 0) assert_sound(map);
    }
    assert_true(most > 2000);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%zu", i);
        assert_ptr_equal(map_del_str(map, key), present[i] ? &values[i] : NULL);
        if (i % 50 == 0) assert_sound(map);
    }
    assert_null(map->slots);
    map_free(&map);
}

/* Keys whose hashes end alike, as those of one shard do, must not crowd together. */
static void test_sharded_keys_spread(void **state)
{
    (void)state;
    struct map *map = map_new();
    size_t far = 0;
    for (size_t i = 0; map->count < 1000; i++)
        if (hash_bytes(&i, sizeof(i)) % 64 == 5) assert_null(map_set(map, &i, sizeof(i), &values[0]));
    for (size_t i = 0; i <= map_mask(map); i++) {
        if (!map->slots[i].entry) continue;
        size_t distance = (i - map_home(map, map->slots[i].hash)) & map_mask(map);
        if (distance > far) far = distance;
    }
    assert_true(far < 100);
    map_free(&map);
}

static bool count_up(const void *key, size_t key_len, void *value, void *arg)
{
    int *calls = arg;
    assert_int_equal(key_len, 2);
    assert_ptr_equal(value, &values[((const char *)key)[1] - '0']);
    values[((const char *)key)[1] - '0']++;
    return ++*calls < 5;
}

static void test_each(void **state)
{
    (void)state;
    struct map *map = map_new();
    int calls = 0;
    map_each(map, count_up, &calls);
    assert_int_equal(calls, 0);
    for (int i = 0; i < 4; i++) {
        char key[3] = {'k', (char)('0' + i), '\0'};
        assert_null(map_set_str(map, key, &values[i]));
    }
    map_each(map, count_up, &calls);
    assert_int_equal(calls, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(values[i], 1);
    map_each(map, count_up, &calls); /* the fifth call stops it */
    assert_int_equal(calls, 5);
    map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_hash_is_keyed_and_stable),
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_keys_are_bytes),
        cmocka_unit_test(test_random_life),
        cmocka_unit_test(test_sharded_keys_spread),
        cmocka_unit_test(test_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
