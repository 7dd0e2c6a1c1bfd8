#include "ctl/ctl_gateway.h"

#include "ctl/reach.h"

static enum command_status call(const struct command_line *line, const char *command)
{
    json_t *answer;
    enum command_status status = reach_gateway(line, command, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, NULL) : status;
}

enum command_status ctl_gateway_status(const struct command_line *line)
{
    return call(line, "status");
}

enum command_status ctl_gateway_stats(const struct command_line *line)
{
    return call(line, "stats");
}
