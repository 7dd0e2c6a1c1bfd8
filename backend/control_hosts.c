#include "backend/control_hosts.h"

#include "backend/announce.h"
#include "backend/backend_config.h"
#include "backend/jid.h"
#include "backend/shard.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };

/* Seconds since 1970; 0: there is no certificate. */
static time_t end_of(const struct host *host)
{
    struct tm tm = {0};
    const X509 *leaf = host->tls ? SSL_CTX_get0_certificate(host->tls) : NULL;
    return leaf && ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) == 1 ? timegm(&tm) : 0;
}

static json_t *list_of(char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static void add_host(const struct host *host, void *arg)
{
    const time_t end = end_of(host);
    json_t *names = json_array();
    for (size_t i = 0; i < option_count(host->section, "server-names"); i++)
        json_array_append_new(names, json_string(option_item(host->section, "server-names", i)));
    json_t *row = json_pack("{s:s, s:o, s:o}", "host", host->domain, "server_names", names, "admins",
                            list_of(host->admins, host->admin_count));
    if (end != 0)
        json_object_update_new(row, json_pack("{s:s, s:I, s:I}", "certificate",
                                              option_str(host->section, "certificate"), "not_after", (json_int_t)end,
                                              "days_left", (json_int_t)((end - time(NULL)) / DAY_S)));
    json_array_append_new(arg, row);
}

void control_hosts_list(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    json_t *list = json_array();
    hosts_each(shard_hosts(backend->shards[0]), add_host, list);
    control_reply(request, list);
}

static void on_announced(size_t count, void *arg)
{
    control_reply(arg, json_pack("{s:I}", "users", (json_int_t)count));
}

bool control_hosts_is_text(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < ' ' && !strchr("\t\n\r", *c)) return false;
        if (c[0] == 0xef && c[1] == 0xbf && (c[2] == 0xbe || c[2] == 0xbf)) return false;
    }
    return true;
}

static void on_sent(enum announced result, void *arg)
{
    switch (result) {
    case ANNOUNCED:
        control_reply(arg, json_pack("{s:i}", "users", 1));
        return;
    case ANNOUNCED_NO_ACCOUNT:
        control_fail(arg, "not-found", "there is no such account");
        return;
    case ANNOUNCED_NOT_THERE:
        control_fail(arg, "not-found", "nobody is connected with that resource");
        return;
    case ANNOUNCED_FAILED:
        control_fail(arg, "internal", "the store failed; see the log");
        return;
    }
}

/* To one address, which is served here. */
static void message_to(struct control_request *request, struct shard *shard, const struct jid *jid, const char *subject,
                       const char *text)
{
    if (!hosts_find(shard_hosts(shard), jid->domain)) {
        control_fail(request, "not-found", "that host is not served here");
        return;
    }
    if (!jid->local) {
        announce_to_all(shard->backend, jid->domain, subject, text, on_announced, request);
        return;
    }
    announce_to(shard->backend, jid, subject, text, on_sent, request);
}

void control_hosts_message(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    const char *to = control_arg_str(request, "to"), *text = control_arg_str(request, "text");
    const char *subject = control_arg_str(request, "subject"), *why = NULL;
    if (!to || !text || !*text || !control_hosts_is_text(text) || (subject && !control_hosts_is_text(subject))) {
        control_fail(request, "usage", "expected an addressee, and a text without control characters");
        return;
    }
    if (strcmp(to, "all") == 0) {
        announce_to_all(backend, NULL, subject, text, on_announced, request);
        return;
    }
    struct jid *jid = jid_parse(to, strlen(to), &why);
    if (jid)
        message_to(request, backend->shards[0], jid, subject, text);
    else
        control_fail(request, "usage", "expected all, a host or an address%s%s", why ? ": " : "", why ? why : "");
    jid_free(&jid);
}
