#include "ctl/command.h"

#include "ctl/ctl_accounts.h"
#include "ctl/ctl_archive.h"
#include "ctl/ctl_completion.h"
#include "ctl/ctl_explain.h"
#include "ctl/ctl_gateway.h"
#include "ctl/ctl_migrate.h"
#include "ctl/ctl_notice.h"
#include "ctl/ctl_roster.h"
#include "ctl/ctl_s2s.h"
#include "ctl/ctl_server.h"
#include "ctl/ctl_store.h"
#include "ctl/report.h"
#include "lib/check.h"

#include <stdio.h>
#include <string.h>

static const char NO_PASSWORD[] = "a password is never taken from the command line, where every user of this machine "
                                  "can read it: it is asked for, or read from standard input";

const struct command COMMANDS[] = {
    {"adduser", "JID", "Make an account; the password is asked for, or read from standard input.", 1, 1, NO_PASSWORD,
     ctl_accounts_add},
    {"passwd", "JID", "Change an account's password, asked for or read likewise.", 1, 1, NO_PASSWORD,
     ctl_accounts_passwd},
    {"deluser", "JID", "Remove an account.", 1, 1, NULL, ctl_accounts_del},
    {"disable", "JID", "Let nobody log in to an account, and end its sessions; it keeps all it has.", 1, 1, NULL,
     ctl_accounts_disable},
    {"enable", "JID", "Open a disabled account again.", 1, 1, NULL, ctl_accounts_enable},
    {"unlock", "JID|ADDRESS", "Forget the failed log-ins of an account, or of an IP address.", 1, 1, NULL,
     ctl_accounts_unlock},
    {"users", "[HOST]", "List the accounts, of one host or of all.", 0, 1, NULL, ctl_accounts_list},
    {"roster get", "JID", "The contacts of an account, and who waits for its answer (asks).", 1, 1, NULL,
     ctl_roster_get},
    {"roster add", "JID CONTACT [name=NAME] [group=GROUP ...] [subscription=none|to|from|both]",
     "Put a contact into the roster of an account, or change it there; only this side's record.", 2, 260, NULL,
     ctl_roster_add},
    {"roster remove", "JID CONTACT", "Take a contact out of the roster; the contact's subscriptions end.", 2, 2, NULL,
     ctl_roster_remove},
    {"archive show", "JID", "How much an account's archive of messages holds.", 1, 1, NULL, ctl_archive_show},
    {"archive delete", "JID [DAYS]", "Delete an account's archive, or what in it is older than so many days.", 1, 2,
     NULL, ctl_archive_delete},
    {"status", "", "What the running backend is doing.", 0, 0, NULL, ctl_server_status},
    {"stats", "", "The backend's counters, and what was asked of it.", 0, 0, NULL, ctl_server_stats},
    {"reload", "", "Put the backend's changed configuration in force; no session is lost.", 0, 0, NULL,
     ctl_server_reload},
    {"backup", "FILE", "Save a consistent copy of the backend's store, running or not, in a new file.", 1, 1, NULL,
     ctl_store_backup},
    {"restore", "FILE", "Put such a copy in the place of the store of a stopped backend, and keep the old one.", 1, 1,
     NULL, ctl_store_restore},
    {"export", "FILE|-", "Save all accounts with all they have as XEP-0227 in a new file, or to standard output.", 1, 1,
     NULL, ctl_migrate_export},
    {"import", "[--dry-run] [--replace|--skip-existing] [--host DOMAIN] [--from prosody|xep0227] FILE|FOLDER",
     "Make the accounts of another server: of XEP-0227, as ejabberd writes it too, or of Prosody's data folder.", 1, 8,
     NULL, ctl_migrate_import},
    {"check store", "", "Read the backend's whole store, running or not, and tell what is wrong in it.", 0, 0, NULL,
     ctl_store_check},
    {"hosts", "", "The hosts, and until when their certificates are valid.", 0, 0, NULL, ctl_server_hosts},
    {"sessions", "[HOST|JID]", "Who is logged in: to a host, as a user, or at all.", 0, 1, NULL, ctl_server_sessions},
    {"kick", "JID[/RESOURCE]", "End one session, or all of a user.", 1, 1, NULL, ctl_server_kick},
    {"s2s list", "[DOMAIN]", "The streams to and from other servers, and what is not connected and why.", 0, 1, NULL,
     ctl_s2s_list},
    {"s2s check", "DOMAIN [--from HOST]", "Try a connection to another server, and tell each step.", 1, 1, NULL,
     ctl_s2s_check},
    {"s2s retry", "all|DOMAIN", "Connect now to a server that could not be reached.", 1, 1, NULL, ctl_s2s_retry},
    {"s2s close", "DOMAIN", "End the streams to and from another server.", 1, 1, NULL, ctl_s2s_close},
    {"s2s queue list", "[DOMAIN]", "What waits for other servers: how much, or each message for one of them.", 0, 1,
     NULL, ctl_s2s_queue_list},
    {"s2s queue purge", "DOMAIN [--bounce]", "Throw away what waits for a server; --bounce: tell the senders.", 1, 1,
     NULL, ctl_s2s_queue_purge},
    {"message", "all|HOST|JID [TEXT [SUBJECT]]",
     "Tell everybody who is logged in, or one user; without a text it is read from standard input.", 1, 3, NULL,
     ctl_server_message},
    {"motd show", "HOST", "The message of the day.", 1, 1, NULL, ctl_notice_motd_show},
    {"motd set", "HOST [TEXT]",
     "Set it: who is online gets it at once, everybody else once; without a text it is read from standard input.", 1, 2,
     NULL, ctl_notice_motd_set},
    {"motd edit", "HOST [TEXT]", "Change it for those who have not seen it yet.", 1, 2, NULL, ctl_notice_motd_edit},
    {"motd delete", "HOST", "Have none.", 1, 1, NULL, ctl_notice_motd_delete},
    {"welcome show", "HOST", "The message to new users at their first login.", 1, 1, NULL, ctl_notice_welcome_show},
    {"welcome set", "HOST [TEXT]", "Set it; without a text it is read from standard input.", 1, 2, NULL,
     ctl_notice_welcome_set},
    {"welcome delete", "HOST", "Have none.", 1, 1, NULL, ctl_notice_welcome_delete},
    {"log-level", "debug|info|warn|error", "Log more or less, until the next reload.", 1, 1, NULL,
     ctl_server_log_level},
    {"about", "", "The versions of the backend and its libraries.", 0, 0, NULL, ctl_server_about},
    {"shell-completion", "bash|zsh|fish", "A script that has the shell complete these commands.", 1, 1, NULL,
     ctl_completion},
    {"gateway status", "", "What the running gateway is doing.", 0, 0, NULL, ctl_gateway_status},
    {"gateway stats", "", "The gateway's counters, in all and for each route.", 0, 0, NULL, ctl_gateway_stats},
    {"gateway explain", "--sni NAME ...",
     "Which route a connection would take now, and why; the arguments are those of postern-gateway --explain.", 0, 32,
     NULL, ctl_explain},
    {"gateway reload", "", "Put a changed configuration in force; no connection is touched.", 0, 0, NULL,
     ctl_gateway_reload},
    {"gateway upgrade", "", "Run the installed program in place of the running one; no connection is touched.", 0, 0,
     NULL, ctl_gateway_upgrade},
    {"gateway drain", "", "Accept no more, and end with the last connection.", 0, 0, NULL, ctl_gateway_drain},
    {"gateway connections", "[NAME=VALUE ...]",
     "Its connections, those that fit: route=web, peer=192.0.2.1, limit=50 ...", 0, 16, NULL, ctl_gateway_connections},
    {"gateway upstreams", "", "The servers it proxies to: health, load, what was set.", 0, 0, NULL,
     ctl_gateway_upstreams},
    {"gateway server", "UPSTREAM SERVER ready|drain|maintenance|weight=N",
     "Set a server's state or weight, until it is set again.", 3, 3, NULL, ctl_gateway_server},
    {"gateway routes", "", "The routes in force, in their order.", 0, 0, NULL, ctl_gateway_routes},
    {"gateway certs", "", "The certificates it serves, and until when they are valid.", 0, 0, NULL, ctl_gateway_certs},
    {"gateway kill", "ID", "End one connection, by the id in lists and logs.", 1, 1, NULL, ctl_gateway_kill},
    {"gateway log-level", "debug|info|warn|error", "Log debug, info, warn or error, until the next reload.", 1, 1, NULL,
     ctl_gateway_log_level},
};

const size_t COMMAND_COUNT = ARRAY_LEN(COMMANDS);

static size_t words_matched(const char *name, char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(words[i]);
        if (strncmp(name, words[i], len) != 0) return 0;
        if (name[len] == '\0') return i + 1;
        if (name[len] != ' ') return 0;
        name += len + 1;
    }
    return 0;
}

const struct command *command_find(char *const *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        *used = words_matched(COMMANDS[i].name, words, count);
        if (*used) return &COMMANDS[i];
    }
    return NULL;
}

enum command_status command_answer(const struct command_line *line, json_t *answer, const char *done)
{
    enum command_status status = COMMAND_REFUSED;
    if (json_is_true(json_object_get(answer, "ok"))) {
        json_t *result = json_object_get(answer, "result");
        status = COMMAND_OK;
        if (line->json) {
            report_json(result, stdout);
        } else if (!result || json_is_null(result)) {
            if (done) puts(done);
        } else {
            report_text(result, stdout);
        }
    } else {
        const char *error = json_string_value(json_object_get(answer, "error"));
        fprintf(stderr, "posternctl: %s\n", error ? error : "the server refused without saying why");
    }
    json_decref(answer);
    if (fflush(stdout) != 0) {
        perror("posternctl: standard output");
        return COMMAND_REFUSED;
    }
    return status;
}
