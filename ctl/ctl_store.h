/* ctl_store - the commands about the backend's store as a whole: see the table in command.c. */
#ifndef POSTERN_CTL_CTL_STORE_H
#define POSTERN_CTL_CTL_STORE_H

#include "ctl/command.h"

enum command_status ctl_store_backup(const struct command_line *line);
enum command_status ctl_store_restore(const struct command_line *line);
enum command_status ctl_store_check(const struct command_line *line);

#endif
