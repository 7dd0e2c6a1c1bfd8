/* control_hosts - commands about the hosts, and about everybody on them. */
#ifndef POSTERN_BACKEND_CONTROL_HOSTS_H
#define POSTERN_BACKEND_CONTROL_HOSTS_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_hosts_list(struct control_request *request, void *backend);
void control_hosts_message(struct control_request *request, void *backend);

#endif
