/* component_def - the external components that the configuration allows: their domains and secrets. */
#ifndef POSTERN_BACKEND_COMPONENT_DEF_H
#define POSTERN_BACKEND_COMPONENT_DEF_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct hosts;
struct option_file;

struct component_def {
    char *domain;       /* prepared */
    const char *parent; /* the domain of the host that lists it: the longest that it is a subdomain of; NULL: none */
    const char *secret;
    bool replaces; /* a newer connection ends an older one; else it is refused */
};

struct component_defs;

/* component_defs_new - the sections of a file, whose hosts are known.  NULL and a message with file and line. */
MUSTCHECK struct component_defs *component_defs_new(const struct option_file *file, const struct hosts *hosts,
                                                    char *error, size_t cap);
void component_defs_free(struct component_defs **defs);

/* component_defs_find - by prepared domain, or NULL. */
const struct component_def *component_defs_find(const struct component_defs *defs, const char *domain);

/* component_defs_each - in the order of the file. */
void component_defs_each(const struct component_defs *defs, void (*fn)(const struct component_def *def, void *arg),
                         void *arg);

#endif
