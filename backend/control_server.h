/* control_server - commands about the server as a whole. */
#ifndef POSTERN_BACKEND_CONTROL_SERVER_H
#define POSTERN_BACKEND_CONTROL_SERVER_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_server_status(struct control_request *request, void *backend);
void control_server_stats(struct control_request *request, void *backend);
void control_server_about(struct control_request *request, void *backend);
void control_server_log_level(struct control_request *request, void *backend);
void control_server_reload(struct control_request *request, void *backend);

#endif
