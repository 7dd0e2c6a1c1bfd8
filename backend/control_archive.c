#include "backend/control_archive.h"

#include "backend/jid.h"
#include "backend/shard.h"

#include <string.h>
#include <time.h>

enum { DAYS_MAX = 36500 };

/* account_jid - of the request; NULL: it has been refused. */
static struct jid *account_jid(struct control_request *request)
{
    const char *text = control_arg_str(request, "jid"), *why = NULL;
    struct jid *jid = text ? jid_parse(text, strlen(text), &why) : NULL;

    if (jid && jid->local && !jid->resource) return jid;
    jid_free(&jid);
    control_fail(request, "usage", "expected an account such as user@example.com");
    return NULL;
}

static void refuse(struct control_request *request, enum store_status status)
{
    if (status == STORE_NOT_FOUND)
        control_fail(request, "not-found", "there is no such account");
    else if (status == STORE_FULL)
        control_fail(request, "internal", "the disk is full");
    else
        control_fail(request, "internal", "the store failed; see the log");
}

/* The time that an id says, as XEP-0082 has it; JSON's null for none. */
static json_t *time_of(uint64_t id)
{
    const time_t seconds = (time_t)(id / 1000000);
    struct tm utc;
    char text[32];

    if (id == 0 || !gmtime_r(&seconds, &utc)) return json_null();
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

static void on_size(enum store_status status, const struct store_archive_size *size, void *arg)
{
    struct control_request *request = arg;

    if (!size) {
        refuse(request, status);
        return;
    }
    control_reply(request,
                  json_pack("{s:I, s:I, s:o, s:o}", "messages", (json_int_t)size->entries, "bytes",
                            (json_int_t)size->bytes, "first", time_of(size->first), "last", time_of(size->last)));
}

void control_archive_show(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct jid *jid = account_jid(request);

    if (jid) store_archive_size(backend->store, backend->shards[0]->mailbox, jid->bare, on_size, request);
    jid_free(&jid);
}

static void on_deleted(enum store_status status, const struct store_archive_purged *purged, void *arg)
{
    struct control_request *request = arg;

    if (!purged) {
        refuse(request, status);
        return;
    }
    control_reply(request,
                  json_pack("{s:I, s:I}", "messages", (json_int_t)purged->entries, "bytes", (json_int_t)purged->bytes));
}

void control_archive_delete(struct control_request *request, void *arg)
{
    struct backend *backend = arg;
    struct store_archive_keep keep = {.from = UINT64_MAX};
    const json_t *given = json_object_get(control_args(request), "days");
    const json_int_t days = given ? json_integer_value(given) : 1;

    if (days < 1 || days > DAYS_MAX) {
        control_fail(request, "usage", "expected a number of days, 1 to %d", DAYS_MAX);
        return;
    }
    if (given) keep.from = ((uint64_t)time(NULL) - (uint64_t)days * 24 * 60 * 60) * 1000000;
    struct jid *jid = account_jid(request);
    if (jid) store_archive_trim(backend->store, backend->shards[0]->mailbox, jid->bare, &keep, on_deleted, request);
    jid_free(&jid);
}
