/* control_archive - commands about the archives of accounts. */
#ifndef POSTERN_BACKEND_CONTROL_ARCHIVE_H
#define POSTERN_BACKEND_CONTROL_ARCHIVE_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_archive_show(struct control_request *request, void *backend);
void control_archive_delete(struct control_request *request, void *backend);

#endif
