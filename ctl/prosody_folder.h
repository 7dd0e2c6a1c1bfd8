/* prosody_folder - Prosody's data folder (its "internal" storage) as an XEP-0227 document. */
#ifndef POSTERN_CTL_PROSODY_FOLDER_H
#define POSTERN_CTL_PROSODY_FOLDER_H

#include "lib/check.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Accounts that could not be read, and why, for the report. */
struct prosody_left_out {
    uint64_t accounts;
    json_t *notes; /* texts; beyond some hundred they are only counted */
};

/* prosody_folder_write - the accounts of every host, or of one (NULL: all).  A file that cannot be read leaves out its
 * account, and is noted.  Returns 0, or -1 and a message in why: that is no such folder, or out failed. */
MUSTCHECK int prosody_folder_write(const char *path, const char *host, FILE *out, struct prosody_left_out *left_out,
                                   char *why, size_t cap);

#endif
