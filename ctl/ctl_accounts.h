/* ctl_accounts - the commands about accounts: see the table in command.c. */
#ifndef POSTERN_CTL_CTL_ACCOUNTS_H
#define POSTERN_CTL_CTL_ACCOUNTS_H

#include "ctl/command.h"

enum command_status ctl_accounts_add(const struct command_line *line);
enum command_status ctl_accounts_passwd(const struct command_line *line);
enum command_status ctl_accounts_del(const struct command_line *line);
enum command_status ctl_accounts_disable(const struct command_line *line);
enum command_status ctl_accounts_enable(const struct command_line *line);
enum command_status ctl_accounts_unlock(const struct command_line *line);
enum command_status ctl_accounts_list(const struct command_line *line);

#endif
