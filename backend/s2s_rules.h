/* s2s_rules - what a host, or the top level for all the rest, says about talking to other servers. */
#ifndef POSTERN_BACKEND_S2S_RULES_H
#define POSTERN_BACKEND_S2S_RULES_H

#include "backend/s2s_policy.h"
#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>

struct domain_map;
struct option_section;

struct s2s_rules {
    bool enabled;
    bool has_proxy, proxy_all; /* all: not only for onion services */
    bool allows_some;          /* none but those that are allowed */
    struct endpoint proxy;
    struct s2s_policy base;   /* for a domain of which nothing else is said */
    struct domain_map *trust; /* by domain: S2S_RULE_SECURE or S2S_RULE_INSECURE; NULL: empty */
    struct domain_map *admit; /* by domain: S2S_RULE_ALLOW or S2S_RULE_DENY; NULL: empty */
};

/* Values of the maps: told apart by their addresses. */
extern const char S2S_RULE_SECURE[], S2S_RULE_INSECURE[], S2S_RULE_ALLOW[], S2S_RULE_DENY[];

/* s2s_rules_read - a host's own options, else those of the top level; host NULL: the top level alone.  -1 and a message
 * with file and line. */
MUSTCHECK int s2s_rules_read(struct s2s_rules *rules, const struct option_section *top,
                             const struct option_section *host, char *error, size_t cap);
void s2s_rules_clear(struct s2s_rules *rules);

/* s2s_rules_admit - whether the domain may be talked to. */
bool s2s_rules_admit(const struct s2s_rules *rules, const char *domain);

/* s2s_rules_proxy - read the address of a SOCKS5 proxy from an option; -1 and a message. */
MUSTCHECK int s2s_rules_proxy(struct endpoint *proxy, const struct option_section *s, const char *option, char *error,
                              size_t cap);

#endif
