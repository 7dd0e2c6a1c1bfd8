/* control_hosts - commands about the hosts, and about everybody on them. */
#ifndef POSTERN_BACKEND_CONTROL_HOSTS_H
#define POSTERN_BACKEND_CONTROL_HOSTS_H

#include "lib/control.h"

#include <stdbool.h>

/* Rows of the table in backend_control.c; backend is a struct backend *. */
void control_hosts_list(struct control_request *request, void *backend);
void control_hosts_message(struct control_request *request, void *backend);

/* control_hosts_is_text - whether a text (in UTF-8) has only the characters of XML 1.0 (section 2.2). */
bool control_hosts_is_text(const char *text);

#endif
