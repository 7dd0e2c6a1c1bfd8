/* control_accounts - commands about the accounts. */
#ifndef POSTERN_BACKEND_CONTROL_ACCOUNTS_H
#define POSTERN_BACKEND_CONTROL_ACCOUNTS_H

#include "lib/control.h"

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_accounts_add(struct control_request *request, void *backend);
void control_accounts_passwd(struct control_request *request, void *backend);
void control_accounts_delete(struct control_request *request, void *backend);
void control_accounts_disable(struct control_request *request, void *backend);
void control_accounts_enable(struct control_request *request, void *backend);
void control_accounts_unlock(struct control_request *request, void *backend);
void control_accounts_list(struct control_request *request, void *backend);

#endif
