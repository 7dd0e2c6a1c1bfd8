/* ctl_archive - the commands about accounts' archives: see the table in command.c. */
#ifndef POSTERN_CTL_CTL_ARCHIVE_H
#define POSTERN_CTL_CTL_ARCHIVE_H

#include "ctl/command.h"

enum command_status ctl_archive_show(const struct command_line *line);
enum command_status ctl_archive_delete(const struct command_line *line);

#endif
