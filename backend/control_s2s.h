/* control_s2s - the control commands about streams to and from other servers. */
#ifndef POSTERN_BACKEND_CONTROL_S2S_H
#define POSTERN_BACKEND_CONTROL_S2S_H

#include "lib/control.h"

#include <stdbool.h>

/* As control_command wants them; arg is the struct backend.  In posternctl they are "s2s list", close, retry. */
void control_s2s_list(struct control_request *request, void *arg);
void control_s2s_close(struct control_request *request, void *arg);
void control_s2s_retry(struct control_request *request, void *arg);

/* control_s2s_domain - the request's argument "domain", prepared, into out (JID_PART_MAX_BYTES + 1).  false: it is
 * none, and the request has been answered.  *given (NULL: it has to be) tells whether there is one at all. */
bool control_s2s_domain(struct control_request *request, char *out, bool *given);

#endif
