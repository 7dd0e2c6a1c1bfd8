/* mem - memory that is there or the process is not: allocation aborts when it fails. */
#ifndef POSTERN_LIB_MEM_H
#define POSTERN_LIB_MEM_H

#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>

/* mem_alloc - size_bytes zeroed bytes; never NULL.  Free with free(). */
MUSTCHECK void *mem_alloc(size_t size_bytes);

/* mem_realloc - as realloc, never NULL for a size above 0. */
MUSTCHECK void *mem_realloc(void *old, size_t size_bytes);

/* mem_strdup, mem_strndup - a copy of a string, or of its first len bytes; NULL gives NULL. */
MUSTCHECK char *mem_strdup(const char *s);
MUSTCHECK char *mem_strndup(const char *s, size_t len);

/* mem_asprintf - a formatted string. */
MUSTCHECK char *mem_asprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* mem_wipe - overwrite a secret so that the compiler cannot drop it. */
void mem_wipe(void *p, size_t len);

/* mem_freed - what was freed on this thread, in bytes and roughly: arenas, large buffers and TLS count themselves. More
 * than ever were allocated if they were allocated on another thread. */
size_t mem_freed(void);
void mem_count_freed(size_t size_bytes);

/* mem_on_freed - have fn(arg) called on this thread, each time so many more bytes have been freed; from anywhere, so it
 * may do very little.  fn NULL: no more. */
void mem_on_freed(size_t each_bytes, void (*fn)(void *arg), void *arg);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

/* An arena: many small allocations freed together.  A stanza and all it points to live in one. */
struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **arena);

/* arena_keep_secret - a password may be in it: overwrite all of it in arena_free. */
void arena_keep_secret(struct arena *arena);

/* arena_alloc - size_bytes zeroed bytes, aligned for any type, alive until arena_free. */
MUSTCHECK void *arena_alloc(struct arena *arena, size_t size_bytes);
MUSTCHECK char *arena_strdup(struct arena *arena, const char *s);
MUSTCHECK char *arena_strndup(struct arena *arena, const char *s, size_t len);

/* arena_bytes - bytes handed out so far, for limits. */
size_t arena_bytes(const struct arena *arena);

#endif
