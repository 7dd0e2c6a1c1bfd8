/* reach - the way to a server: its control socket, or a backend started for one command. */
#ifndef POSTERN_CTL_REACH_H
#define POSTERN_CTL_REACH_H

#include "ctl/command.h"
#include "lib/check.h"

#include <jansson.h>
#include <stdbool.h>

/* reach_backend - send a command with args (takes the reference) to the running backend.  When none runs and offline is
 * true, one is started on the same files for this command only.  COMMAND_OK: *answer is the caller's; else the
 * error was printed. */
MUSTCHECK enum command_status reach_backend(const struct command_line *line, const char *command, json_t *args,
                                            bool offline, json_t **answer);

/* reach_backend_passing - the same, with a running backend or without, for a command that may take hours; a copy of
 * passed_fd goes along (-1: none). */
MUSTCHECK enum command_status reach_backend_passing(const struct command_line *line, const char *command, json_t *args,
                                                    int passed_fd, json_t **answer);

/* reach_backend_watching - the same with a running backend only. */
MUSTCHECK enum command_status reach_backend_watching(const struct command_line *line, const char *command, json_t *args,
                                                     int passed_fd, json_t **answer);

/* reach_gateway - send a command with args (takes the reference; NULL: none) to the running gateway; the same results.
 */
MUSTCHECK enum command_status reach_gateway(const struct command_line *line, const char *command, json_t *args,
                                            json_t **answer);

/* reach_gateway_patiently - the same while one program takes over from another: for some seconds, a connection that is
 * refused or ends without an answer is made again. */
MUSTCHECK enum command_status reach_gateway_patiently(const struct command_line *line, const char *command,
                                                      json_t **answer);

#endif
