/* control_sessions - commands about who is logged in. */
#ifndef POSTERN_BACKEND_CONTROL_SESSIONS_H
#define POSTERN_BACKEND_CONTROL_SESSIONS_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_sessions_list(struct control_request *request, void *backend);
void control_sessions_kick(struct control_request *request, void *backend);

#endif
