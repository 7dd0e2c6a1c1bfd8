/* disco - what service discovery says of a host, and of an account.
 *
 * Features come from the rows of dispatch.def, and of feature.def for those that are no namespace of a stanza's child.
 * Source: XEP-0030; XEP-0128, XEP-0157 and XEP-0232 for the forms. */
#ifndef POSTERN_BACKEND_DISCO_H
#define POSTERN_BACKEND_DISCO_H

#include "backend/elem.h"

struct host;
struct user;

/* disco_host - fill query (of disco#info) with the host's identity, features, and forms about its software and whom to
 * contact. */
void disco_host(const struct host *host, struct elem *query);

/* disco_account - likewise for an account; own: it is asked by itself, not by a contact. */
void disco_account(const struct user *user, bool own, struct elem *query);

#endif
