/* backend_control - the commands of the backend's control socket. */
#ifndef POSTERN_BACKEND_BACKEND_CONTROL_H
#define POSTERN_BACKEND_BACKEND_CONTROL_H

#include "lib/control.h"

#include <stddef.h>

/* The table; fn's arg is a struct backend *, and all run on shard 0. */
extern const struct control_command BACKEND_COMMANDS[];
extern const size_t BACKEND_COMMAND_COUNT;

#endif
