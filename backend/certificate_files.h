/* certificate_files - the files that certificates are read from: the hosts', and those of the authorities for clients
 * and for other servers, which may be in a folder. */
#ifndef POSTERN_BACKEND_CERTIFICATE_FILES_H
#define POSTERN_BACKEND_CERTIFICATE_FILES_H

#include <stddef.h>

struct backend_config;
struct option_section;

struct certificate_file {
    const char *path; /* borrowed from the configuration; s2s-ca may be a folder, and need not be there */
    const struct option_section *section;
    const char *option; /* that names it */
};

/* certificate_files_each - call fn for each; stops with what fn returns when that is not 0, else returns 0. */
int certificate_files_each(const struct backend_config *config,
                           int (*fn)(const struct certificate_file *file, void *arg), void *arg);

/* certificate_files_list - all their paths, borrowed; free() the array. */
char **certificate_files_list(const struct backend_config *config, size_t *count);

#endif
