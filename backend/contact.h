/* contact - whom to turn to about a host: XEP-0157. */
#ifndef POSTERN_BACKEND_CONTACT_H
#define POSTERN_BACKEND_CONTACT_H

#include "lib/check.h"

#include <stddef.h>

struct elem;
struct host;
struct option_section;

/* contact_check - -1 and a message when a contact-… option of a host section has something that is no URI. */
MUSTCHECK int contact_check(const struct option_section *host, char *error, size_t cap);

/* contact_add_form - the form with all addresses that the host gives, if it gives any. */
void contact_add_form(const struct host *host, struct elem *query);

#endif
