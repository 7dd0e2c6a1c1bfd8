#include "lib/sandbox.h"

#ifdef POSTERN_SANITIZED

int sandbox_enter(const struct sandbox_rules *rules, bool *landlock, char *why, size_t cap)
{
    (void)rules;
    (void)why;
    (void)cap;
    if (landlock) *landlock = false;
    return 0;
}

#else

#include "lib/sandbox_calls.h"
#include "lib/sandbox_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

int sandbox_enter(const struct sandbox_rules *rules, bool *landlock, char *why, size_t cap)
{
    bool active = false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        snprintf(why, cap, "sandbox: cannot give up new privileges: %s", strerror(errno));
        return -1;
    }
    if (sandbox_files(rules, &active, why, cap) < 0) return -1;
    if (landlock) *landlock = active;
    return sandbox_calls(rules, why, cap);
}

#endif
