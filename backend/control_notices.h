/* control_notices - commands about what a host tells its users when they come. */
#ifndef POSTERN_BACKEND_CONTROL_NOTICES_H
#define POSTERN_BACKEND_CONTROL_NOTICES_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_notices_motd(struct control_request *request, void *backend);
void control_notices_welcome(struct control_request *request, void *backend);

#endif
