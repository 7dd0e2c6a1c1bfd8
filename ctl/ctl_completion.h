/* ctl_completion - what a shell needs to complete command lines of posternctl, made from the table of commands. */
#ifndef POSTERN_CTL_CTL_COMPLETION_H
#define POSTERN_CTL_CTL_COMPLETION_H

#include "ctl/command.h"

/* ctl_completion - print the script for a shell: bash, zsh or fish. */
enum command_status ctl_completion(const struct command_line *line);

#endif
