/* spare - give back memory that only the start needed. */
#ifndef POSTERN_LIB_SPARE_H
#define POSTERN_LIB_SPARE_H

/* spare_start_pages - to be called once all is set up: free heap goes back to the system, and so do the pages of the
 * program and its libraries that cannot have been changed (code, constants).  What is used again comes back from the
 * page cache by itself.  Half of what a process holds after its start is code that ran once: the dynamic linker's way
 * through every symbol, reading certificates, opening the store. */
void spare_start_pages(void);

#endif
