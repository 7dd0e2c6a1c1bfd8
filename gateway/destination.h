/* destination - the addresses and ports that clients connect to, as a route names them. */
#ifndef POSTERN_GATEWAY_DESTINATION_H
#define POSTERN_GATEWAY_DESTINATION_H

#include "lib/cidr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct destination {
    struct cidr network;
    uint16_t port; /* 0: any */
};

struct destination_list {
    size_t count;
    struct destination *items;
};

enum { DESTINATION_TEXT_BYTES = 64 };

/* destination_parse - "192.0.2.1", "192.0.2.0/24", "2001:db8::/32", with a port "192.0.2.1:443", "[2001:db8::1]:443",
 * "[2001:db8::/32]:443", "*:443" (every IPv4 address) and "[*]:443" (every IPv6 address).  Returns 0, or -1 and *why
 * (static text) says what was expected. */
MUSTCHECK int destination_parse(const char *text, struct destination *out, const char **why);

/* destination_format - the text that destination_parse reads; returns out (>= DESTINATION_TEXT_BYTES bytes). */
char *destination_format(const struct destination *destination, char *out, size_t cap);

/* destination_list_read - the members of a list option.  Returns 0, or -1 and a message in error;
 * destination_list_clear either way. */
MUSTCHECK int destination_list_read(struct destination_list *list, const struct option_section *section,
                                    const char *option, char *error, size_t cap);
void destination_list_clear(struct destination_list *list);

/* destination_list_holds - whether a is one of them; an unknown address is not. */
bool destination_list_holds(const struct destination_list *list, const struct addr *a);

/* destination_list_covers - whether each member of narrow lies in a member of wide. */
bool destination_list_covers(const struct destination_list *wide, const struct destination_list *narrow);

#endif
