#include "backend/control_store.h"

#include "backend/backend.h"
#include "backend/shard.h"
#include "backend/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The peer has opened it: what it may not write, we shall not write for it. */
static bool is_empty_file(int fd)
{
    struct stat st;
    const int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

static void on_copied(enum store_status status, uint64_t bytes, const char *why, void *arg)
{
    struct control_request *request = arg;

    if (status == STORE_OK)
        control_reply(request, json_pack("{s:I}", "bytes", (json_int_t)bytes));
    else
        control_fail(request, "internal", "%s", why);
}

void control_store_backup(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    const int fd = control_take_fd(request);

    if (fd >= 0 && is_empty_file(fd)) {
        store_copy(backend->store, backend->shards[0]->mailbox, fd, on_copied, request);
        return;
    }
    if (fd >= 0) close(fd);
    control_fail(request, "usage", "expected the descriptor of an empty file, open for reading and writing");
}

static void on_checked(enum store_status status, const struct store_findings *findings, void *arg)
{
    struct control_request *request = arg;

    if (status == STORE_EXISTS) {
        control_fail(request, "unavailable", "a check is under way already");
        return;
    }
    if (status != STORE_OK) {
        control_fail(request, "internal", "the store cannot be checked; see the log");
        return;
    }
    json_t *faults = json_array();
    for (size_t i = 0; i < findings->text_count; i++) {
        json_t *text = json_string(findings->texts[i]);
        json_array_append_new(faults, text ? text : json_string("something that is not UTF-8"));
    }
    control_reply(request, json_pack("{s:I, s:I, s:I, s:I, s:o}", "accounts", (json_int_t)findings->accounts, "records",
                                     (json_int_t)findings->records, "entries", (json_int_t)findings->entries, "faults",
                                     (json_int_t)findings->faults, "found", faults));
}

void control_store_check(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    store_check(backend->store, backend->shards[0]->mailbox, on_checked, request);
}
