/* registration_policy - what a host lets its users do with accounts by their clients (XEP-0077). */
#ifndef POSTERN_BACKEND_REGISTRATION_POLICY_H
#define POSTERN_BACKEND_REGISTRATION_POLICY_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct option_section;

struct registration_policy {
    bool open;       /* anybody may make an account */
    bool may_change; /* users may change their passwords */
    bool may_remove; /* users may delete their accounts */
    char **watchers; /* who is told of new accounts; prepared addresses */
    size_t watcher_count;
};

/* registration_policy_read - from the section of a host.  -1 and a message in error: a watcher that is no address;
 * registration_policy_clear either way. */
MUSTCHECK int registration_policy_read(struct registration_policy *policy, const struct option_section *host,
                                       char *error, size_t cap);
void registration_policy_clear(struct registration_policy *policy);

#endif
