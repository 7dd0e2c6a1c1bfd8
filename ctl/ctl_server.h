/* ctl_server - the commands about the running backend: see the table in command.c. */
#ifndef POSTERN_CTL_CTL_SERVER_H
#define POSTERN_CTL_CTL_SERVER_H

#include "ctl/command.h"

enum command_status ctl_server_status(const struct command_line *line);
enum command_status ctl_server_stats(const struct command_line *line);
enum command_status ctl_server_about(const struct command_line *line);
enum command_status ctl_server_sessions(const struct command_line *line);
enum command_status ctl_server_kick(const struct command_line *line);
enum command_status ctl_server_hosts(const struct command_line *line);
enum command_status ctl_server_message(const struct command_line *line);
enum command_status ctl_server_log_level(const struct command_line *line);
enum command_status ctl_server_reload(const struct command_line *line);

#endif
