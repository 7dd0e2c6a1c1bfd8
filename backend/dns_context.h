/* dns_context - libunbound, set up as the section "resolver" of the configuration says.
 *
 * Names are asked for at the servers that the section or resolv.conf names; where neither names one, at the servers of
 * the names' own domains, beginning with the root's. */
#ifndef POSTERN_BACKEND_DNS_CONTEXT_H
#define POSTERN_BACKEND_DNS_CONTEXT_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct backend_config;
struct option_file;
struct option_section;
struct ub_ctx;

enum { DNS_FILES = 3 };

/* The files that a context was made from, as they were then. */
struct dns_files {
    struct dns_file {
        const char *path; /* the configuration's; NULL: not in use */
        struct timespec changed;
        int64_t size; /* -1: not there */
        uint64_t inode;
    } files[DNS_FILES];
};

/* dns_context_new - *files is what it was made from, *validates whether answers are validated.  What cannot be
 * used is logged, and done without.  Returns NULL and a message when there is no resolver at all.  Starts its thread at
 * the first question. */
MUSTCHECK struct ub_ctx *dns_context_new(const struct backend_config *config, struct dns_files *files, bool *validates,
                                         char *why, size_t cap);

/* dns_context_is_stale - whether a file has changed since. */
bool dns_context_is_stale(const struct dns_files *files);

/* dns_context_each_file - the files that it would be made from; stops when fn returns other than 0, and returns
 * that. */
typedef int dns_file_fn(const struct option_section *section, const char *option, void *arg);
int dns_context_each_file(const struct backend_config *config, dns_file_fn *fn, void *arg);

/* dns_context_check - what the options' rows cannot express.  0, or -1 and a message with file and line. */
MUSTCHECK int dns_context_check(const struct option_file *file, char *error, size_t cap);

#endif
