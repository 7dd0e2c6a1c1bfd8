/* spare - give back memory that only the start needed. */
#ifndef POSTERN_LIB_SPARE_H
#define POSTERN_LIB_SPARE_H

/* spare_start_pages - to be called once all is set up: free heap goes back to the system, and so do the pages of the
 * program and its libraries that cannot have been changed (code, constants).  What is used again comes back from the
 * page cache by itself.  Half of what a process holds after its start is code that ran once: the dynamic linker's way
 * through every symbol, reading certificates, opening the store. */
void spare_start_pages(void);

struct loop;
struct spare;

/* spare_new - from now on have what the calling thread has freed go back to the system: some time after
 * SPARE_EACH_BYTES of it, when the loop, which is this thread's, has been quiet for SPARE_WAIT_MS; when it never is,
 * after SPARE_PATIENCE times that.  A burst needs memory that stays the process's otherwise, for the allocator gives
 * back only what lies at the end of the heap.  A process that does nothing is never woken. */
struct spare *spare_new(struct loop *loop);

/* spare_free - on the same thread. */
void spare_free(struct spare **spare);

enum { SPARE_WAIT_MS = 1000, SPARE_EACH_BYTES = 1 << 20, SPARE_QUIET_BYTES = 1 << 16, SPARE_PATIENCE = 30 };

#endif
