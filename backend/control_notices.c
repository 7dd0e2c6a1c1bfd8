#include "backend/control_notices.h"

#include "backend/control_hosts.h"
#include "backend/jid.h"
#include "backend/notice.h"
#include "backend/shard.h"

#include <string.h>

static void on_set(enum store_status status, void *arg)
{
    if (status == STORE_OK) {
        control_reply(arg, NULL);
    } else {
        control_fail(arg, "internal", status == STORE_FULL ? "the disk is full" : "the store failed; see the log");
    }
}

static void on_read(enum store_status status, const char *text, void *arg)
{
    if (status == STORE_OK) {
        control_reply(arg, json_pack("{s:s?}", "text", text));
    } else {
        control_fail(arg, "internal", "the store failed; see the log");
    }
}

/* The request's host, prepared into domain; false: refused. */
static bool read_host(struct control_request *request, const struct backend *backend, char *domain)
{
    const char *host = control_arg_str(request, "host");
    if (host && jid_prepare_domain(host, domain, NULL) == 0 && hosts_find(shard_hosts(backend->shards[0]), domain))
        return true;
    control_fail(request, "not-found", "that host is not served here");
    return false;
}

/* Whether there is a text that may be sent; false: refused. */
static bool check_text(struct control_request *request, const char *text)
{
    if (text && *text && strlen(text) <= NOTICE_MAX_BYTES && control_hosts_is_text(text)) return true;
    control_fail(request, "usage", "expected a text of up to %d bytes without control characters", NOTICE_MAX_BYTES);
    return false;
}

void control_notices_motd(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct mailbox *main = backend->shards[0]->mailbox;
    char domain[JID_PART_MAX_BYTES + 1];
    const char *what = control_arg_str(request, "what"), *text = control_arg_str(request, "text");
    if (!what || !read_host(request, backend, domain)) {
        if (!what) control_fail(request, "usage", "expected show, set, edit or delete");
    } else if (strcmp(what, "show") == 0) {
        notice_read(backend, domain, NOTICE_MOTD, main, on_read, request);
    } else if (strcmp(what, "delete") == 0) {
        notice_set_motd(backend, domain, NULL, false, main, on_set, request);
    } else if (check_text(request, text)) {
        notice_set_motd(backend, domain, text, strcmp(what, "edit") != 0, main, on_set, request);
    }
}

void control_notices_welcome(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct mailbox *main = backend->shards[0]->mailbox;
    char domain[JID_PART_MAX_BYTES + 1];
    const char *what = control_arg_str(request, "what"), *text = control_arg_str(request, "text");
    if (!what || !read_host(request, backend, domain)) {
        if (!what) control_fail(request, "usage", "expected show, set or delete");
    } else if (strcmp(what, "show") == 0) {
        notice_read(backend, domain, NOTICE_WELCOME, main, on_read, request);
    } else if (strcmp(what, "delete") == 0) {
        notice_set_welcome(backend, domain, NULL, main, on_set, request);
    } else if (check_text(request, text)) {
        notice_set_welcome(backend, domain, text, main, on_set, request);
    }
}
