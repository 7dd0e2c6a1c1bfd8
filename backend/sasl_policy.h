/* sasl_policy - which SASL mechanisms an administrator wants for a host. */
#ifndef POSTERN_BACKEND_SASL_POLICY_H
#define POSTERN_BACKEND_SASL_POLICY_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct option_section;

struct sasl_policy {
    bool chosen;     /* hashes are the administrator's words; else those that all accounts have keys for */
    unsigned hashes; /* SCRAM with these, with and without channel binding: bits 1 << STORE_HASH_* */
    bool plain;
    bool anonymous;
};

/* sasl_policy_read - from the section of a host.  -1 and a message in error: a mechanism that there is not. */
MUSTCHECK int sasl_policy_read(struct sasl_policy *policy, const struct option_section *host, char *error, size_t cap);

#endif
