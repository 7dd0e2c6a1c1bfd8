/* cidr - networks of IP addresses such as 192.0.2.0/24 and 2001:db8::/32, and sets of them. */
#ifndef POSTERN_LIB_CIDR_H
#define POSTERN_LIB_CIDR_H

#include "lib/addr.h"
#include "lib/check.h"
#include "lib/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits behind the prefix are 0, so that equal networks have equal bytes. */
struct cidr {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;   /* of the prefix: to 32 or 128 */
    uint8_t net[16];
};

/* Disjoint networks in order, as few as there can be; a zeroed one is empty. */
struct cidr_set {
    size_t count;
    struct cidr *items;
};

enum { CIDR_TEXT_BYTES = 52 }; /* the longest text that cidr_format writes, with its NUL */

/* cidr_parse - "192.0.2.0/24", "2001:db8::/32", or an address alone; an IPv4-mapped network becomes IPv4.  Returns 0,
 * or -1 and *why (static text) says what was expected; bits behind the prefix are refused, as they are a mistake of one
 * kind or the other. */
MUSTCHECK int cidr_parse(const char *text, struct cidr *out, const char **why);

/* cidr_format - the text that cidr_parse reads; returns out (>= CIDR_TEXT_BYTES bytes). */
char *cidr_format(const struct cidr *network, char *out, size_t cap);

/* cidr_holds - whether the address, whatever its port, is in the network; an unknown one is in none. */
bool cidr_holds(const struct cidr *network, const struct addr *a);

/* cidr_covers - whether each address of narrow is one of wide. */
bool cidr_covers(const struct cidr *wide, const struct cidr *narrow);

/* cidr_widen - the network with this shorter prefix that the other one lies in. */
struct cidr cidr_widen(const struct cidr *network, uint8_t bits);

/* cidr_set_read - the networks of a list option.  Returns 0, or -1 and a message in error; cidr_set_clear either way.
 */
MUSTCHECK int cidr_set_read(struct cidr_set *set, const struct option_section *section, const char *option, char *error,
                            size_t cap);
void cidr_set_clear(struct cidr_set *set);

/* cidr_set_holds, cidr_set_covers - the same for a set; a binary search. */
bool cidr_set_holds(const struct cidr_set *set, const struct addr *a);
bool cidr_set_covers(const struct cidr_set *wide, const struct cidr_set *narrow);

/* cidr_set_admits - for those who watch a server: whether the address is in the set, or, where that is empty, one of
 * this machine's own (loopback). */
bool cidr_set_admits(const struct cidr_set *set, const struct addr *a);

#endif
