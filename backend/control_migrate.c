#include "backend/control_migrate.h"

#include "backend/export.h"
#include "backend/import.h"
#include "backend/jid.h"
#include "backend/shard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* take_file - the descriptor that came along: a file, open for that (O_RDONLY, O_WRONLY) or for both; -1, and the
 * request has failed. */
static int take_file(struct control_request *request, int mode)
{
    struct stat st;
    const int fd = control_take_fd(request);
    const int open_for = fd >= 0 ? fcntl(fd, F_GETFL) & O_ACCMODE : -1;
    if (fd >= 0 && (open_for == mode || open_for == O_RDWR) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    if (fd >= 0) close(fd);
    control_fail(request, "usage", "expected the descriptor of a file, open for %s",
                 mode == O_RDONLY ? "reading" : "writing");
    return -1;
}

static void on_exported(const struct export_result *result, void *arg)
{
    struct control_request *request = arg;
    if (result->why) {
        control_fail(request, "internal", "%s", result->why);
    } else {
        control_reply(request,
                      json_pack("{s:I, s:I, s:I}", "accounts", (json_int_t)result->accounts, "offline messages",
                                (json_int_t)result->messages, "unreadable", (json_int_t)result->unreadable));
    }
}

void control_migrate_export(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    const int fd = take_file(request, O_WRONLY);
    if (fd >= 0) export_start(backend->shards[0], fd, on_exported, request);
}

static void on_imported(json_t *report, void *arg)
{
    control_reply(arg, report);
}

static bool is_set(const struct control_request *request, const char *name)
{
    return json_is_true(json_object_get(control_args(request), name));
}

void control_migrate_import(struct control_request *request, void *arg)
{
    const struct backend *backend = arg;
    const char *host = control_arg_str(request, "host");
    char domain[JID_PART_MAX_BYTES + 1];
    if (host && (jid_prepare_domain(host, domain, NULL) != 0 || !hosts_find(shard_hosts(backend->shards[0]), domain))) {
        control_fail(request, "not-found", "that host is not served here");
        return;
    }
    const struct import_order order = {.fd = take_file(request, O_RDONLY),
                                       .host = host ? domain : NULL,
                                       .replace = is_set(request, "replace"),
                                       .skip = is_set(request, "skip-existing"),
                                       .dry_run = is_set(request, "dry-run")};
    if (order.fd >= 0) import_start(backend->shards[0], &order, on_imported, request);
}
