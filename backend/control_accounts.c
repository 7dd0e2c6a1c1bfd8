#include "backend/control_accounts.h"

#include "backend/account.h"
#include "backend/jid.h"
#include "backend/lockout.h"
#include "backend/shard.h"

#include <arpa/inet.h>
#include <string.h>

static void on_changed(const char *code, const char *text, void *arg)
{
    struct control_request *request = arg;
    if (code) {
        control_fail(request, code, "%s", text);
    } else {
        control_reply(request, NULL);
    }
}

static void change(struct control_request *request, struct backend *backend, enum account_action action)
{
    const struct account_order order = {
        .action = action, .jid = control_arg_str(request, "jid"), .password = control_arg_str(request, "password")};
    account_change(backend->shards[0], &order, on_changed, request);
}

void control_accounts_add(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_ADD);
}

void control_accounts_passwd(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_SET_PASSWORD);
}

void control_accounts_delete(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_DELETE);
}

void control_accounts_disable(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_DISABLE);
}

void control_accounts_enable(struct control_request *request, void *arg)
{
    change(request, arg, ACCOUNT_ENABLE);
}

static bool parse_address(const char *text, struct addr *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        addr_from_sockaddr(out, (const struct sockaddr *)&in, sizeof(in));
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1) return false;
    addr_from_sockaddr(out, (const struct sockaddr *)&in6, sizeof(in6));
    return true;
}

void control_accounts_unlock(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    const char *who = control_arg_str(request, "who"), *why = NULL;
    struct addr address;
    if (who && parse_address(who, &address)) {
        lockout_forgive_source(backend->lockout, &address);
        control_reply(request, NULL);
        return;
    }
    struct jid *jid = who ? jid_parse(who, strlen(who), &why) : NULL;
    if (jid && jid->local) {
        lockout_forgive_account(backend->lockout, jid->bare);
        control_reply(request, NULL);
    } else {
        control_fail(request, "usage", "expected an account such as user@example.com, or an IP address");
    }
    jid_free(&jid);
}

static void on_names(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    struct control_request *request = arg;
    if (status != STORE_OK) {
        control_fail(request, "internal", "the store failed; see the log");
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(jids[i]));
    control_reply(request, list);
}

void control_accounts_list(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    char domain[JID_PART_MAX_BYTES + 1];
    const char *host = control_arg_str(request, "host");
    if (host && (jid_prepare_domain(host, domain, NULL) != 0 || !hosts_find(shard_hosts(backend->shards[0]), domain))) {
        control_fail(request, "not-found", "that host is not served here");
        return;
    }
    store_account_list(backend->store, backend->shards[0]->mailbox, host ? domain : NULL, on_names, request);
}
