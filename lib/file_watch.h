/* file_watch - tells when some of a set of files have changed, and have been written to the end.
 *
 * The kernel watches their folders (inotify), so that nothing wakes up while nothing changes; symbolic links that are
 * turned to other files are seen as well.  Where the kernel cannot (a folder that we may not list, some network file
 * systems), changes go unseen. */
#ifndef POSTERN_LIB_FILE_WATCH_H
#define POSTERN_LIB_FILE_WATCH_H

#include "lib/check.h"
#include "lib/loop.h"

#include <stddef.h>
#include <stdint.h>

struct file_watch;

/* file_watch_state - a number that differs when one of the files was replaced, written to, made or removed. */
uint64_t file_watch_state(char *const *paths, size_t count);

/* file_watch_new - fn is called when the files differ from the state that file_watch_set was told, and have been the
 * same for settle_ms. */
struct file_watch *file_watch_new(struct loop *loop, int64_t settle_ms, void (*fn)(void *arg), void *arg);
void file_watch_free(struct file_watch **watch);

/* file_watch_set - watch these files (copied) from now on, and no others.  state: file_watch_state from before they
 * were read, so that no change in between is missed. */
void file_watch_set(struct file_watch *watch, char *const *paths, size_t count, uint64_t state);

#endif
