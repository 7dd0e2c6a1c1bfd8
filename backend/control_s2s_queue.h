/* control_s2s_queue - the control commands about what waits for other servers in the store. */
#ifndef POSTERN_BACKEND_CONTROL_S2S_QUEUE_H
#define POSTERN_BACKEND_CONTROL_S2S_QUEUE_H

#include "lib/control.h"

/* As control_command wants them; arg is the struct backend.  In posternctl they are "s2s queue list" and purge. */
void control_s2s_queue_list(struct control_request *request, void *arg);
void control_s2s_queue_purge(struct control_request *request, void *arg);

#endif
