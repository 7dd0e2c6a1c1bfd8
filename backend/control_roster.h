/* control_roster - commands about the rosters of accounts. */
#ifndef POSTERN_BACKEND_CONTROL_ROSTER_H
#define POSTERN_BACKEND_CONTROL_ROSTER_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_roster_get(struct control_request *request, void *backend);
void control_roster_add(struct control_request *request, void *backend);
void control_roster_remove(struct control_request *request, void *backend);

#endif
