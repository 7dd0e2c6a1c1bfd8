/* control_store - commands about the store as a whole. */
#ifndef POSTERN_BACKEND_CONTROL_STORE_H
#define POSTERN_BACKEND_CONTROL_STORE_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_store_backup(struct control_request *request, void *backend);
void control_store_check(struct control_request *request, void *backend);

#endif
