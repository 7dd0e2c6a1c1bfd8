/* new_file - a file that has its name only when it is whole, and that only we can read. */
#ifndef POSTERN_CTL_NEW_FILE_H
#define POSTERN_CTL_NEW_FILE_H

#include "ctl/command.h"
#include "lib/check.h"

struct new_file {
    const char *path; /* borrowed */
    char *fresh;      /* its name until then */
    int fd;           /* for reading and writing */
};

/* new_file_open - a file beside path, which must not exist.  Anything but COMMAND_OK: what is wrong was printed. */
MUSTCHECK enum command_status new_file_open(struct new_file *file, const char *path);

/* new_file_publish - give it its name, in one step, unless something has that name by now. */
MUSTCHECK enum command_status new_file_publish(struct new_file *file);

/* new_file_close - and remove it, unless it was published. */
void new_file_close(struct new_file *file);

/* new_file_nameless - a temporary file that never has a name; -1: what is wrong was printed. */
MUSTCHECK int new_file_nameless(void);

#endif
