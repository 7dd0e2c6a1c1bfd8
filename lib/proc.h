/* proc - the process's place in the system: identity, limits, locks, service manager. */
#ifndef POSTERN_LIB_PROC_H
#define POSTERN_LIB_PROC_H

#include "lib/check.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* proc_drop_privileges - become user (and its groups; group overrides the primary one when not NULL) for ever, keeping
 * no capability.  A NULL user: stay who we are, and give up the capabilities unless that is root.  A process that is
 * not root can only be that user already.
 * Returns 0, or -1 and a message in why. */
MUSTCHECK int proc_drop_privileges(const char *user, const char *group, char *why, size_t cap);

/* proc_drop_privileges_but - the same, and keep one capability (its number in linux/capability.h), which the process
 * has now; -1: none. */
MUSTCHECK int proc_drop_privileges_but(const char *user, const char *group, int capability, char *why, size_t cap);

/* proc_raise_nofile - raise the soft limit of open descriptors to the hard one; returns the limit now in force. */
size_t proc_raise_nofile(void);

/* proc_lock - take the exclusive lock of a file (made with mode 0600) and write our pid into it.  Returns the
 * descriptor that holds the lock (for the life of the process), or -1 and a message in why, which names the pid of the
 * holder.  The lock is gone with its holder, however it ends; children that inherit the descriptor hold it, too. */
MUSTCHECK int proc_lock(const char *path, char *why, size_t cap);

/* proc_check_private - a file or folder must belong to us (or root) and be closed to group (unless group_may_read) and
 * others. Returns 0, or -1 and a message in why that says the command that mends it. */
MUSTCHECK int proc_check_private(const char *path, int group_may_read, char *why, size_t cap);

/* proc_check_own - a file that we write must be a regular one (no symbolic link), belong to us, and be closed to group
 * and others; or not be there at all.  Returns 0, or -1 and a message in why that says the command that mends it. */
MUSTCHECK int proc_check_own(const char *path, char *why, size_t cap);

/* proc_notify - tell the service manager (sd_notify's protocol over $NOTIFY_SOCKET), if there is one.  One
 * that does not read is waited for a second at most, and then not told. */
void proc_notify(const char *state);

/* proc_notify_reloading - tell it that a reload begins now; READY=1 ends it. */
void proc_notify_reloading(void);

/* proc_watchdog_us - how often the service manager wants to hear WATCHDOG=1 from this process, in microseconds; 0: not
 * at all.  Source: sd_watchdog_enabled(3). */
int64_t proc_watchdog_us(void);

/* proc_write_pid - write our pid into a file (mode 0644).  Returns 0, or -1 and a message in why. */
MUSTCHECK int proc_write_pid(const char *path, char *why, size_t cap);

/* proc_remove_pid - remove that file, unless it holds another pid by now. */
void proc_remove_pid(const char *path);

#endif
