/* subscription_request - requests that wait for the user's answer, given to each client that becomes available.
 *
 * They are kept as they came, so that whoever answers sees the words and the name that came with them.  Source:
 * RFC 6121 section 3.1.3. */
#ifndef POSTERN_BACKEND_SUBSCRIPTION_REQUEST_H
#define POSTERN_BACKEND_SUBSCRIPTION_REQUEST_H

/* The hook is in presence_hooks.def: the user may be held until the client has them all. */

#endif
