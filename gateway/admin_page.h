/* admin_page - what the gateway answers over HTTP to those who watch it.
 *
 * Everything is read from memory that all processes of the gateway share, so any worker can answer. */
#ifndef POSTERN_GATEWAY_ADMIN_PAGE_H
#define POSTERN_GATEWAY_ADMIN_PAGE_H

#include "gateway/listener_config.h"
#include "lib/addr.h"
#include "lib/buf.h"

#include <stddef.h>
#include <stdint.h>

struct worker;

/* admin_page_answer - append the whole HTTP/1.1 response to a request (head of len bytes, maybe malformed) of a client
 * at source.  Clients whom the listener does not allow get 403. */
void admin_page_answer(const struct worker *worker, const struct listener_config *listener, const struct addr *source,
                       const uint8_t *head, size_t len, struct buf *out);

#endif
