/* remote_def - what the configuration says of one other server's domain, or of all below one: the sections "remote". */
#ifndef POSTERN_BACKEND_REMOTE_DEF_H
#define POSTERN_BACKEND_REMOTE_DEF_H

#include "backend/s2s_policy.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hosts;
struct option_file;
struct option_section;

/* Numbers and flags are -1 where the section does not say. */
struct remote_def {
    const struct option_section *section;
    char *pattern; /* prepared; "*.example.net", too */
    bool onion;    /* it lies in .onion, or is mapped to such an address */
    bool direct;   /* proxy = none */
    bool has_proxy;
    struct endpoint proxy;
    struct s2s_place *places;
    size_t place_count;
    uint8_t (*pins)[S2S_PIN_BYTES];
    size_t pin_count;
    int encrypt, secure, dialback, dane;
    int64_t stanza_bytes, stanza_rate, byte_rate, streams, idle_ms, resume_ms;
    int64_t queue_messages, queue_bytes, queue_age_ms;
};

struct remote_defs;

/* remote_defs_new - the sections of a file, whose hosts and components are known.  NULL and a message with file and
 * line. */
MUSTCHECK struct remote_defs *remote_defs_new(const struct option_file *file, const struct hosts *hosts, char *error,
                                              size_t cap);
void remote_defs_free(struct remote_defs **defs);

/* remote_defs_find - the closest one for a prepared domain, or NULL. */
const struct remote_def *remote_defs_find(const struct remote_defs *defs, const char *domain);

#endif
