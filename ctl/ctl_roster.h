/* ctl_roster - commands about the rosters of accounts, for a running backend: their effects go to other users, too. */
#ifndef POSTERN_CTL_CTL_ROSTER_H
#define POSTERN_CTL_CTL_ROSTER_H

#include "ctl/command.h"

/* Rows of the table in command.c. */
enum command_status ctl_roster_get(const struct command_line *line);
enum command_status ctl_roster_add(const struct command_line *line);
enum command_status ctl_roster_remove(const struct command_line *line);

#endif
