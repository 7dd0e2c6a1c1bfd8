#include "lib/mem.h"

#include <openssl/crypto.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef POSTERN_SANITIZED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, len)   ((void)(p), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#endif

enum {
    ARENA_FIRST_BYTES = 1024,
    ARENA_LARGEST_BYTES = 32768,
#ifdef POSTERN_SANITIZED
    ARENA_GAP_BYTES = 16, /* never handed out, so that an overrun inside a block is seen */
#else
    ARENA_GAP_BYTES = 0,
#endif
};

struct arena_block {
    struct arena_block *next;
    size_t cap, used;
    alignas(max_align_t) unsigned char mem[];
};

/* The block at the head is the one with room; a piece too large for it gets a block of its own behind it.  The first
 * block lies right behind the arena itself, in the same memory: most arenas need no other. */
struct arena {
    alignas(max_align_t) struct arena_block *head;
    size_t next_bytes, total_bytes;
    bool secret;
};

/* next_bytes: when fn is called; it never is while nobody has asked for it. */
static _Thread_local struct {
    size_t total_bytes, next_bytes, each_bytes;
    void (*fn)(void *arg);
    void *arg;
} freed;

static struct arena_block *first_block(struct arena *arena)
{
    return (struct arena_block *)(void *)(arena + 1);
}

static _Noreturn void mem_exhausted(size_t size_bytes)
{
    fprintf(stderr, "event=out_of_memory bytes=%zu\n", size_bytes);
    abort();
}

void *mem_alloc(size_t size_bytes)
{
    void *p = calloc(1, size_bytes ? size_bytes : 1);
    if (!p) mem_exhausted(size_bytes);
    return p;
}

void *mem_realloc(void *old, size_t size_bytes)
{
    if (size_bytes == 0) {
        free(old);
        return NULL;
    }
    void *p = realloc(old, size_bytes);
    if (!p) mem_exhausted(size_bytes);
    return p;
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t len)
{
    if (!s) return NULL;
    len = strnlen(s, len);
    char *copy = mem_alloc(len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *mem_asprintf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    va_start(ap, fmt);
    int len = vasprintf(&out, fmt, ap);
    va_end(ap);
    if (len < 0) mem_exhausted(0);
    return out;
}

void mem_wipe(void *p, size_t len)
{
    if (p) OPENSSL_cleanse(p, len);
}

size_t mem_freed(void)
{
    return freed.total_bytes;
}

void mem_count_freed(size_t size_bytes)
{
    freed.total_bytes += size_bytes;
    if (freed.total_bytes < freed.next_bytes || !freed.fn) return;
    freed.next_bytes = freed.total_bytes + freed.each_bytes;
    freed.fn(freed.arg);
}

void mem_on_freed(size_t each_bytes, void (*fn)(void *arg), void *arg)
{
    freed.each_bytes = each_bytes;
    freed.next_bytes = freed.total_bytes + each_bytes;
    freed.fn = fn;
    freed.arg = arg;
}

struct arena *arena_new(void)
{
    struct arena *arena = mem_alloc(sizeof(*arena) + sizeof(struct arena_block) + ARENA_FIRST_BYTES);
    arena->head = first_block(arena);
    arena->head->cap = ARENA_FIRST_BYTES;
    arena->next_bytes = (size_t)2 * ARENA_FIRST_BYTES;
    ASAN_POISON_MEMORY_REGION(arena->head->mem, ARENA_FIRST_BYTES);
    return arena;
}

void arena_free(struct arena **arena)
{
    if (!*arena) return;
    size_t size_bytes = sizeof(**arena);
    for (struct arena_block *block = (*arena)->head, *next; block; block = next) {
        next = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->mem, block->cap);
        if ((*arena)->secret) mem_wipe(block->mem, block->used);
        size_bytes += sizeof(*block) + block->cap;
        if (block != first_block(*arena)) free(block);
    }
    free(*arena);
    *arena = NULL;
    mem_count_freed(size_bytes);
}

void arena_keep_secret(struct arena *arena)
{
    arena->secret = true;
}

static struct arena_block *arena_add_block(struct arena *arena, size_t need)
{
    size_t cap = arena->next_bytes;
    bool alone = need > cap / 2;
    if (alone)
        cap = need;
    else if (arena->next_bytes < ARENA_LARGEST_BYTES)
        arena->next_bytes *= 2;
    struct arena_block *block = mem_alloc(sizeof(*block) + cap);
    block->cap = cap;
    ASAN_POISON_MEMORY_REGION(block->mem, cap);
    if (alone) {
        block->next = arena->head->next;
        arena->head->next = block;
    } else {
        block->next = arena->head;
        arena->head = block;
    }
    return block;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    CHECK(size_bytes <= SIZE_MAX / 2);
    size_t unit = alignof(max_align_t);
    size_t need = ((size_bytes ? size_bytes : 1) + ARENA_GAP_BYTES + unit - 1) / unit * unit;
    struct arena_block *block = arena->head;
    if (block->cap - block->used < need) block = arena_add_block(arena, need);
    void *p = block->mem + block->used;
    block->used += need;
    arena->total_bytes += size_bytes;
    ASAN_UNPOISON_MEMORY_REGION(p, size_bytes);
    return p;
}

char *arena_strdup(struct arena *arena, const char *s)
{
    if (!s) return NULL;
    size_t size_bytes = strlen(s) + 1;
    return memcpy(arena_alloc(arena, size_bytes), s, size_bytes);
}

char *arena_strndup(struct arena *arena, const char *s, size_t len)
{
    if (!s) return NULL;
    len = strnlen(s, len);
    char *copy = arena_alloc(arena, len + 1);
    memcpy(copy, s, len);
    return copy;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->total_bytes;
}
