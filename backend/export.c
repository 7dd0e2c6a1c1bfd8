#include "backend/export.h"

#include "backend/export_user.h"
#include "backend/jid.h"
#include "backend/ns.h"
#include "backend/shard.h"
#include "backend/xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLICE = 64, WRITE_BYTES = 64 * 1024 };

struct export
{
    struct shard *here;
    int fd;
    char **jids; /* sorted by domain, then by name */
    size_t count, next;
    const char *domain; /* of the host that is open; NULL: none */
    struct store_account account;
    bool in_messages; /* the account has some */
    struct xml *parser;
    struct buf out;
    struct export_result result;
    char why[256];
    export_fn *fn;
    void *arg;
};

static void next_account(struct export *export);

static void flush(struct export *export, size_t at_least)
{
    while (buf_len(&export->out) > 0 && buf_len(&export->out) >= at_least && !export->why[0]) {
        const ssize_t len = write(export->fd, buf_data(&export->out), buf_len(&export->out));
        if (len >= 0) {
            buf_consume(&export->out, (size_t)len);
        } else if (errno != EINTR) {
            snprintf(export->why, sizeof(export->why), "the export cannot be written: %s", strerror(errno));
        }
    }
}

static void end(struct export *export)
{
    if (!export->why[0] && fsync(export->fd) != 0 && errno != EINVAL)
        snprintf(export->why, sizeof(export->why), "the export cannot be brought to its disk: %s", strerror(errno));
    if (export->why[0]) export->result.why = export->why;
    export->fn(&export->result, export->arg);
    for (size_t i = 0; i < export->count; i++)
        free(export->jids[i]);
    free(export->jids);
    buf_free(&export->out);
    if (export->parser) xml_free(&export->parser);
    close(export->fd);
    mem_wipe(&export->account, sizeof(export->account));
    free(export);
}

static void fail(struct export *export, const char *why)
{
    if (!export->why[0]) snprintf(export->why, sizeof(export->why), "%s", why);
    end(export);
}

static void open_element(struct buf *out, const char *name, const char *attribute, const char *value)
{
    buf_printf(out, "<%s %s='", name, attribute);
    elem_escape(value, strlen(value), out);
    buf_append_str(out, "'>\n");
}

static void on_records(enum store_status status, const struct store_record *records, size_t count, void *arg)
{
    struct export *export = arg;
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        fail(export, "the store failed; see the log");
        return;
    }
    export->result.unreadable +=
        export_user_parts(&export->account, records, status == STORE_OK ? count : 0, &export->parser, &export->out);
    buf_append_str(&export->out, "</user>\n");
    export->result.accounts++;
    export->next++;
    next_account(export);
}

static void on_entries(enum store_status status, const struct store_entry *entries, size_t count, void *arg);

static void read_entries(struct export *export, uint64_t after)
{
    store_queue_get(export->here->backend->store, export->here->mailbox, export->jids[export->next], STORE_OFFLINE,
                    after, SLICE, on_entries, export);
}

static void read_records(struct export *export)
{
    const unsigned kinds = ((1U << STORE_KINDS) - 1) & ~(1U << STORE_OFFLINE);
    store_records_get(export->here->backend->store, export->here->mailbox, export->jids[export->next], kinds, NULL,
                      on_records, export);
}

static void on_entries(enum store_status status, const struct store_entry *entries, size_t count, void *arg)
{
    struct export *export = arg;
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        fail(export, "the store failed; see the log");
        return;
    }
    if (count > 0 && !export->in_messages) buf_append_str(&export->out, "<offline-messages>\n");
    export->in_messages |= count > 0;
    for (size_t i = 0; i < count; i++) {
        const bool read = export_user_message(&export->account, &entries[i], &export->parser, &export->out);
        export->result.messages += read;
        export->result.unreadable += !read;
    }
    flush(export, WRITE_BYTES);
    if (count == SLICE) {
        read_entries(export, entries[count - 1].id);
        return;
    }
    if (export->in_messages) buf_append_str(&export->out, "</offline-messages>\n");
    read_records(export);
}

static void enter_host(struct export *export, const char *domain)
{
    if (export->domain && strcmp(export->domain, domain) == 0) return;
    if (export->domain) buf_append_str(&export->out, "</host>\n");
    export->domain = domain;
    open_element(&export->out, "host", "jid", domain);
}

static const char *domain_of(const char *jid)
{
    const char *at = strchr(jid, '@');
    return at ? at + 1 : jid;
}

static void on_account(enum store_status status, const struct store_account *account, void *arg)
{
    struct export *export = arg;
    if (status == STORE_NOT_FOUND) { /* deleted since the list was made */
        export->next++;
        next_account(export);
    } else if (status != STORE_OK) {
        fail(export, "the store failed; see the log");
    } else {
        export->account = *account;
        export->in_messages = false;
        enter_host(export, domain_of(export->jids[export->next]));
        open_element(&export->out, "user", "name", account->local);
        read_entries(export, 0);
    }
}

static void next_account(struct export *export)
{
    flush(export, WRITE_BYTES);
    if (export->why[0] || backend_is_stopping(export->here->backend)) {
        fail(export, "the server stops");
    } else if (export->next < export->count) {
        char local[JID_PART_MAX_BYTES + 1];
        const char *jid = export->jids[export->next], *domain = domain_of(jid);
        snprintf(local, sizeof(local), "%.*s", (int)(domain - jid - 1), jid);
        store_account_get(export->here->backend->store, export->here->mailbox, local, domain, on_account, export);
    } else {
        if (export->domain) buf_append_str(&export->out, "</host>\n");
        buf_append_str(&export->out, "</server-data>\n");
        flush(export, 0);
        end(export);
    }
}

static int compare(const void *a, const void *b)
{
    const char *one = *(char *const *)a, *other = *(char *const *)b;
    const int order = strcmp(domain_of(one), domain_of(other));
    return order ? order : strcmp(one, other);
}

static void on_names(enum store_status status, const char *const *jids, size_t count, void *arg)
{
    struct export *export = arg;
    if (status != STORE_OK) {
        fail(export, "the store failed; see the log");
        return;
    }
    export->jids = mem_alloc((count + 1) * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        export->jids[export->count++] = mem_strdup(jids[i]);
    qsort(export->jids, count, sizeof(char *), compare);
    buf_append_str(&export->out, "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='" NS_PIE "'>\n");
    next_account(export);
}

void export_start(struct shard *here, int fd, export_fn *fn, void *arg)
{
    struct export *export = MEM_NEW(struct export);
    export->here = here;
    export->fd = fd;
    export->fn = fn;
    export->arg = arg;
    export->out.secret = true;
    store_account_list(here->backend->store, here->mailbox, NULL, on_names, export);
}
