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
};

/* listener_config_read - fill all[index] from a section; those before it have been read.  Returns 0, or -1 and a
 * message in error: no address, a Unix socket, an address that one before it takes. */
MUSTCHECK int listener_config_read(struct listener_config *all, size_t index, const struct option_section *section,
                                   char *error, size_t cap);

/* listener_config_clear - free what the section owns; also after a failed reading. */
void listener_config_clear(struct listener_config *config);

/* listener_config_allows - whether an admin listener answers a client at source. */
bool listener_config_allows(const struct listener_config *config, const struct addr *source);

/* listener_config_address - the i-th address. */
const struct endpoint *listener_config_address(const struct listener_config *config, size_t i);

#endif
