#include "backend/backend_control.h"

#include "backend/control_accounts.h"
#include "backend/control_archive.h"
#include "backend/control_hosts.h"
#include "backend/control_migrate.h"
#include "backend/control_notices.h"
#include "backend/control_roster.h"
#include "backend/control_s2s.h"
#include "backend/control_s2s_queue.h"
#include "backend/control_server.h"
#include "backend/control_sessions.h"
#include "backend/control_store.h"
#include "backend/s2s_check.h"

const struct control_command BACKEND_COMMANDS[] = {
    {"adduser", "Make an account: jid, password.", control_accounts_add},
    {"passwd", "Give an account another password, and end its sessions: jid, password.", control_accounts_passwd},
    {"deluser", "Delete an account, and end its sessions: jid.", control_accounts_delete},
    {"disable", "Let nobody log in to an account, and end its sessions: jid.", control_accounts_disable},
    {"enable", "Let its user log in to a disabled account again: jid.", control_accounts_enable},
    {"unlock", "Forget the failed log-ins of an account, or of an address: who.", control_accounts_unlock},
    {"users", "List the accounts, of one host if it is given: host.", control_accounts_list},
    {"roster-get", "List the contacts of an account, and who waits for its answer: jid.", control_roster_get},
    {"roster-add", "Put a contact into a roster, or change it: jid, contact, name, groups, subscription.",
     control_roster_add},
    {"roster-remove", "Take a contact out of a roster, and end what is between them: jid, contact.",
     control_roster_remove},
    {"archive-show", "Tell how much an account's archive holds: jid.", control_archive_show},
    {"archive-delete", "Delete an account's archive, or what of it is older: jid, days.", control_archive_delete},
    {"status", "Tell version, uptime and counters.", control_server_status},
    {"reload", "Put the changed configuration in force.", control_server_reload},
    {"backup", "Write a copy of the store into the empty file whose descriptor goes along.", control_store_backup},
    {"check-store", "Read the whole store, and tell what is not as it should be.", control_store_check},
    {"export", "Write all accounts as XEP-0227 into the file whose descriptor goes along.", control_migrate_export},
    {"import", "Make accounts of the XEP-0227 file whose descriptor goes along: host, replace, skip-existing, dry-run.",
     control_migrate_import},
    {"sessions", "List who is logged in, from where; of one host or user if it is given: only.", control_sessions_list},
    {"kick", "End one session, or all of a user: jid.", control_sessions_kick},
    {"s2s-list", "List the streams to and from other servers, and what is not connected and why: domain.",
     control_s2s_list},
    {"s2s-close", "End the streams to and from a domain: domain.", control_s2s_close},
    {"s2s-retry", "Connect now to a domain that failed, or to all: domain.", control_s2s_retry},
    {"s2s-queue", "Count what waits for other servers; of one domain, list it: domain.", control_s2s_queue_list},
    {"s2s-purge", "Throw away what waits for a domain, and tell the senders: domain, bounce.", control_s2s_queue_purge},
    {"s2s-check", "Try a connection to another server, step by step: domain, from.", s2s_check_command},
    {"hosts", "List the hosts, and until when their certificates are valid.", control_hosts_list},
    {"message", "Tell all who are logged in (to: all, or a host), or one user: to, text, subject.",
     control_hosts_message},
    {"motd", "Show, set, edit or delete the message of the day: what, host, text.", control_notices_motd},
    {"welcome", "Show, set or delete the message that welcomes new users: what, host, text.", control_notices_welcome},
    {"stats", "Every counter, and how many stanzas each namespace has had.", control_server_stats},
    {"log-level", "Log more or less, until the next reload or restart: level.", control_server_log_level},
    {"about", "Tell the versions of the program and its libraries.", control_server_about},
};
const size_t BACKEND_COMMAND_COUNT = ARRAY_LEN(BACKEND_COMMANDS);
