/* control_migrate - commands that bring accounts from and to other servers. */
#ifndef POSTERN_BACKEND_CONTROL_MIGRATE_H
#define POSTERN_BACKEND_CONTROL_MIGRATE_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_migrate_export(struct control_request *request, void *backend);
void control_migrate_import(struct control_request *request, void *backend);

#endif
