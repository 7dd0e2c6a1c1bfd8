/* ctl_gateway - the commands about the running gateway: see the table in command.c. */
#ifndef POSTERN_CTL_CTL_GATEWAY_H
#define POSTERN_CTL_CTL_GATEWAY_H

#include "ctl/command.h"

enum command_status ctl_gateway_status(const struct command_line *line);
enum command_status ctl_gateway_stats(const struct command_line *line);
enum command_status ctl_gateway_reload(const struct command_line *line);
enum command_status ctl_gateway_upgrade(const struct command_line *line);
enum command_status ctl_gateway_drain(const struct command_line *line);
enum command_status ctl_gateway_connections(const struct command_line *line);
enum command_status ctl_gateway_upstreams(const struct command_line *line);
enum command_status ctl_gateway_server(const struct command_line *line);
enum command_status ctl_gateway_routes(const struct command_line *line);
enum command_status ctl_gateway_certs(const struct command_line *line);
enum command_status ctl_gateway_kill(const struct command_line *line);
enum command_status ctl_gateway_log_level(const struct command_line *line);

#endif
