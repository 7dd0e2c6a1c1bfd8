/* remote_refusal - the answer to what cannot be sent to another server.  Source: RFC 6120 section 10.4. */
#ifndef POSTERN_BACKEND_REMOTE_REFUSAL_H
#define POSTERN_BACKEND_REMOTE_REFUSAL_H

#include "backend/s2s_failure.h"
#include "backend/stanza.h"

struct remote_route;

/* remote_refusal_answer - answer a stanza (taken) by the failure's error; presence is remembered where that may pass.
 */
void remote_refusal_answer(struct remote_route *route, struct stanza *stanza, enum s2s_failure failure);

#endif
