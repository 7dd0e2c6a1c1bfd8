/* ctl_migrate - the commands that bring accounts from and to other servers: see the table in command.c. */
#ifndef POSTERN_CTL_CTL_MIGRATE_H
#define POSTERN_CTL_CTL_MIGRATE_H

#include "ctl/command.h"

enum command_status ctl_migrate_export(const struct command_line *line);
enum command_status ctl_migrate_import(const struct command_line *line);

#endif
