/* ctl_notice - posternctl motd and welcome: what a host tells its users when they come. */
#ifndef POSTERN_CTL_CTL_NOTICE_H
#define POSTERN_CTL_CTL_NOTICE_H

#include "ctl/command.h"

/* Rows of the table in command.c. */
enum command_status ctl_notice_motd_show(const struct command_line *line);
enum command_status ctl_notice_motd_set(const struct command_line *line);
enum command_status ctl_notice_motd_edit(const struct command_line *line);
enum command_status ctl_notice_motd_delete(const struct command_line *line);
enum command_status ctl_notice_welcome_show(const struct command_line *line);
enum command_status ctl_notice_welcome_set(const struct command_line *line);
enum command_status ctl_notice_welcome_delete(const struct command_line *line);

#endif
