/* ctl_explain - the command that asks a running gateway what its routes make of a connection. */
#ifndef POSTERN_CTL_CTL_EXPLAIN_H
#define POSTERN_CTL_CTL_EXPLAIN_H

#include "ctl/command.h"

/* ctl_explain - the arguments are those of postern-gateway --explain.  COMMAND_REFUSED: there is no route. */
enum command_status ctl_explain(const struct command_line *line);

#endif
