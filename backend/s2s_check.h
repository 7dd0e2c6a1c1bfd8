/* s2s_check - try a connection to another server, step by step, for an administrator.
 *
 * It is made beside those that are there, proves who we are like any other, carries no stanza, and is closed. */
#ifndef POSTERN_BACKEND_S2S_CHECK_H
#define POSTERN_BACKEND_S2S_CHECK_H

#include "lib/control.h"

/* s2s_check_command - as control_command wants it; arg is the struct backend.  Arguments: domain; from, one of our
 * domains (the first host that may talk to it).  Each step is written, as a line of JSON, into the pipe whose
 * descriptor comes along, if there is one; the answer has them all. */
void s2s_check_command(struct control_request *request, void *arg);

#endif
