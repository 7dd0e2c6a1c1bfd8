#include "ctl/ctl_accounts.h"

#include "ctl/password.h"
#include "ctl/reach.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Send a command; done is what to say when it worked. */
static enum command_status call(const struct command_line *line, const char *command, json_t *args, const char *done)
{
    json_t *answer;
    enum command_status status = reach_backend(line, command, args, true, &answer);
    return status == COMMAND_OK ? command_answer(line, answer, done) : status;
}

static enum command_status call_about(const struct command_line *line, const char *command, const char *password,
                                      const char *done)
{
    const char *jid = line->args[0];
    json_t *args = json_pack("{s:s, s:s*}", "jid", jid, "password", password);
    if (!args) {
        fprintf(stderr, "posternctl: the name or the password is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    char *text = mem_asprintf("%s %s", done, jid);
    enum command_status status = call(line, command, args, text);
    free(text);
    return status;
}

static enum command_status call_with_password(const struct command_line *line, const char *command, const char *done)
{
    char password[PASSWORD_MAX_BYTES + 1];
    enum command_status status = COMMAND_USAGE;
    if (password_read(line->args[0], password) == 0) status = call_about(line, command, password, done);
    mem_wipe(password, sizeof password);
    return status;
}

enum command_status ctl_accounts_add(const struct command_line *line)
{
    return call_with_password(line, "adduser", "added");
}

enum command_status ctl_accounts_passwd(const struct command_line *line)
{
    return call_with_password(line, "passwd", "password changed for");
}

enum command_status ctl_accounts_del(const struct command_line *line)
{
    return call_about(line, "deluser", NULL, "removed");
}

enum command_status ctl_accounts_disable(const struct command_line *line)
{
    return call_about(line, "disable", NULL, "disabled");
}

enum command_status ctl_accounts_enable(const struct command_line *line)
{
    return call_about(line, "enable", NULL, "enabled");
}

/* The counts are the running server's: without one there is nothing to forget. */
enum command_status ctl_accounts_unlock(const struct command_line *line)
{
    json_t *args = json_pack("{s:s}", "who", line->args[0]), *answer;
    if (!args) {
        fprintf(stderr, "posternctl: the name is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    char *text = mem_asprintf("forgot the failures of %s", line->args[0]);
    enum command_status status = reach_backend(line, "unlock", args, false, &answer);
    if (status == COMMAND_OK) status = command_answer(line, answer, text);
    free(text);
    return status;
}

enum command_status ctl_accounts_list(const struct command_line *line)
{
    json_t *args = json_pack("{s:s*}", "host", line->arg_count ? line->args[0] : NULL);
    if (!args) {
        fprintf(stderr, "posternctl: the host's name is not valid UTF-8\n");
        return COMMAND_USAGE;
    }
    return call(line, "users", args, NULL);
}
