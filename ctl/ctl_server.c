#include "ctl/ctl_server.h"

#include "ctl/reach.h"

static enum command_status call(const struct command_line *line, const char *command, const char *done)
{
    json_t *answer;
    enum command_status status = reach_backend(line, command, json_object(), false, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, done) : status;
}

enum command_status ctl_server_status(const struct command_line *line)
{
    return call(line, "status", NULL);
}

enum command_status ctl_server_sessions(const struct command_line *line)
{
    return call(line, "sessions", NULL);
}

enum command_status ctl_server_reload(const struct command_line *line)
{
    return call(line, "reload", "reloaded");
}
