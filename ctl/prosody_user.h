/* prosody_user - one account of a Prosody data folder as a user of an XEP-0227 document. */
#ifndef POSTERN_CTL_PROSODY_USER_H
#define POSTERN_CTL_PROSODY_USER_H

#include "lib/buf.h"
#include "lib/check.h"

#include <stddef.h>

struct prosody_user {
    const char *folder;  /* of the host: DATA/example%2ecom */
    const char *encoded; /* the name as in the names of files */
    const char *local, *domain;
};

/* prosody_user_write - append the <user/>, with an instruction that tells where it was read.  Returns 0, or -1 and a
 * message in why with file and line: then what was appended is of no use. */
MUSTCHECK int prosody_user_write(const struct prosody_user *user, struct buf *out, char *why, size_t cap);

#endif
