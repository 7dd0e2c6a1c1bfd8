/* check - assertions for our own bugs, and small language helpers.
 *
 * CHECK is for invariants only: nothing that a peer, a file or an administrator can send may reach one.
 * A failed CHECK prints where and what, then aborts. */
#ifndef POSTERN_LIB_CHECK_H
#define POSTERN_LIB_CHECK_H

#include <stddef.h>

#define MUSTCHECK                          __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object that holds member at ptr. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (__builtin_expect(!(cond), 0)) check_failed(__FILE__, __LINE__, __func__, #cond);                           \
    } while (0)

/* A void * that comes back from a callback is checked before it is believed: every such struct has
 * "unsigned magic" as its first member, set by x_new and cleared by x_free. */
#define CHECK_MAGIC(obj, wanted) CHECK((obj) != NULL && (obj)->magic == (wanted))

/* check_failed - print the failed condition to stderr and abort. */
_Noreturn void check_failed(const char *file, int line, const char *func, const char *cond);

#endif
