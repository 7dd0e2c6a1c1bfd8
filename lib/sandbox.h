/* sandbox - give up what the process will never need: new privileges, files, system calls.
 *
 * Uses no_new_privs, Landlock (where the kernel has it) and a seccomp allow-list (libseccomp).  Landlock and seccomp
 * bind the calling thread and those it starts later, so this comes before the first thread.  In builds with a
 * sanitizer it does nothing: the sanitizers' own run-time needs far more than the program.
 *
 * No code can be mapped afterwards, so a library that is loaded late is not: OpenSSL's providers and ICU's data are
 * touched before.  Sockets of the families INET, INET6 and UNIX can always be made and connected. */
#ifndef POSTERN_LIB_SANDBOX_H
#define POSTERN_LIB_SANDBOX_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct sandbox_path {
    const char *path; /* a file or folder that exists */
    bool writable;    /* else read only */
};

struct sandbox_rules {
    const struct sandbox_path *paths; /* nothing else of the file system can be opened */
    size_t path_count;                /* 0: nothing can be opened, even where the kernel has no Landlock (EACCES) */
    bool may_start_threads;
    bool may_write_files;    /* create, rename, sync, truncate, lock: what SQLite needs */
    bool may_fork;           /* never exec */
    bool may_bind;           /* bind, listen: after start */
    bool may_watch_files;    /* inotify */
    bool may_bind_source;    /* bind, not listen: to choose where a connection comes from */
    bool may_bind_datagrams; /* bind, not listen; nor TCP's ports where the kernel can tell: what libunbound needs */
};

/* sandbox_enter - apply the rules for ever.  Returns 0, or -1 and a message in why.  A system call outside the list
 * kills the process (SIGSYS), so that it shows in tests.  *landlock (may be NULL) tells whether the kernel had it. */
MUSTCHECK int sandbox_enter(const struct sandbox_rules *rules, bool *landlock, char *why, size_t cap);

#endif
