/* ctl_s2s - the commands about other servers: streams, what waits for them, and what is wrong with one. */
#ifndef POSTERN_CTL_CTL_S2S_H
#define POSTERN_CTL_CTL_S2S_H

#include "ctl/command.h"

enum command_status ctl_s2s_list(const struct command_line *line);
enum command_status ctl_s2s_close(const struct command_line *line);
enum command_status ctl_s2s_retry(const struct command_line *line);
enum command_status ctl_s2s_queue_list(const struct command_line *line);
enum command_status ctl_s2s_queue_purge(const struct command_line *line);

/* ctl_s2s_check - prints each step as it comes; COMMAND_REFUSED when the other server cannot be talked to. */
enum command_status ctl_s2s_check(const struct command_line *line);

#endif
