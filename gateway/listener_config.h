/* listener_config - the "listener" sections of the configuration, read and checked. */
#ifndef POSTERN_GATEWAY_LISTENER_CONFIG_H
#define POSTERN_GATEWAY_LISTENER_CONFIG_H

#include "gateway/keepalive.h"
#include "lib/check.h"
#include "lib/cidr.h"
#include "lib/option.h"

#include <stdbool.h>
#include <stddef.h>

/* Strings and endpoints are borrowed from the file. */
struct listener_config {
    const char *name; /* the section's title */
    const struct option_section *section;
    size_t address_count;
    int backlog;
    struct keepalive keepalive; /* of the clients' sockets */
    bool admin;                 /* serves the admin pages, not routes */
    struct cidr_set allow;      /* who may ask for them; owned */
    struct cidr_set proxy_from; /* whose connections begin with a PROXY header; owned */
    bool freebind;              /* an address may be one that the machine does not have yet */
    int defer_accept_s;         /* how long the kernel may wait for a first byte before we hear of a client; 0: not */
};

/* listener_config_read - fill all[index] from a section; those before it have been read.  Returns 0, or -1 and a
 * message in error: no address, a Unix socket, an address that one before it takes. */
MUSTCHECK int listener_config_read(struct listener_config *all, size_t index, const struct option_section *section,
                                   char *error, size_t cap);

/* listener_config_check - check one against the other sections, and fill in what depends on them.  Returns 0, or -1 and
 * a message in error: defer-accept where a route waits for silence. */
MUSTCHECK int listener_config_check(struct listener_config *config, const struct option_file *file, char *error,
                                    size_t cap);

/* listener_config_clear - free what the section owns; also after a failed reading. */
void listener_config_clear(struct listener_config *config);

/* listener_config_address - the i-th address. */
const struct endpoint *listener_config_address(const struct listener_config *config, size_t i);

#endif
