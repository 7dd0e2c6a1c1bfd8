#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static void test_alloc_is_zeroed(void **state)
{
    (void)state;
    unsigned char *p = mem_alloc(4096);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(p[i], 0);
    free(p);
    void *none = mem_alloc(0);
    assert_non_null(none);
    free(none);
}

static void test_realloc_keeps(void **state)
{
    (void)state;
    char *p = mem_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    p = mem_realloc(p, 100000);
    assert_string_equal(p, "abc");
    p = mem_realloc(p, 0);
    assert_null(p);
}

static void test_strings(void **state)
{
    (void)state;
    char unended[3] = {'x', 'y', 'z'};
    char *copy = mem_strdup("hello");
    char *part = mem_strndup("hello", 2);
    char *whole = mem_strndup("hi", 100);
    char *cut = mem_strndup(unended, sizeof(unended));
    char *formatted = mem_asprintf("%d-%s", 7, "x");
    assert_string_equal(copy, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(whole, "hi");
    assert_string_equal(cut, "xyz");
    assert_string_equal(formatted, "7-x");
    assert_null(mem_strdup(NULL));
    assert_null(mem_strndup(NULL, 3));
    free(copy);
    free(part);
    free(whole);
    free(cut);
    free(formatted);
}

static void test_wipe(void **state)
{
    (void)state;
    char secret[] = "secret";
    char zero[sizeof(secret)] = {0};
    mem_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zero, sizeof(zero));
    mem_wipe(NULL, 0);
}

/* Pieces of many sizes: zeroed, aligned, none overlaps another. */
static void test_arena_pieces(void **state)
{
    (void)state;
    enum { PIECES = 600 };
    unsigned char *pieces[PIECES];
    struct arena *arena = arena_new();
    size_t total = 0;
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i % 50 == 49 ? i * 100 : i % 70;
        pieces[i] = arena_alloc(arena, size);
        total += size;
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251) + 1, size);
    }
    assert_int_equal(arena_bytes(arena), total);
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i % 50 == 49 ? i * 100 : i % 70;
        for (size_t k = 0; k < size; k++)
            assert_int_equal(pieces[i][k], i % 251 + 1);
    }
    arena_free(&arena);
    assert_null(arena);
    arena_free(&arena);
}

static void test_arena_strings(void **state)
{
    (void)state;
    char unended[2] = {'a', 'b'};
    struct arena *arena = arena_new();
    assert_string_equal(arena_strdup(arena, "stanza"), "stanza");
    assert_string_equal(arena_strndup(arena, "stanza", 3), "sta");
    assert_string_equal(arena_strndup(arena, unended, 2), "ab");
    assert_string_equal(arena_strdup(arena, ""), "");
    assert_null(arena_strdup(arena, NULL));
    assert_null(arena_strndup(arena, NULL, 1));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_zeroed), cmocka_unit_test(test_realloc_keeps),
        cmocka_unit_test(test_strings),         cmocka_unit_test(test_wipe),
        cmocka_unit_test(test_arena_pieces),    cmocka_unit_test(test_arena_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
