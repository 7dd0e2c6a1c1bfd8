/* admin_service - XEP-0133: stop and restart the server. */
#include "backend/adhoc.h"
#include "backend/announce.h"
#include "backend/data_form.h"
#include "backend/notice.h"
#include "backend/shard.h"
#include "backend/stop_later.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DELAY_S = 86400 };

static void fill(struct elem *form, const char *title)
{
    static const char *const DELAYS[] = {"0", "30", "60", "90", "120", "180", "240", "300"};
    static const struct adhoc_field FIELDS[] = {{"announcement", "text-multi", "Announcement", false}};
    adhoc_fill(form, title, FIELDS, ARRAY_LEN(FIELDS));
    struct elem *field = data_form_field(form, "delay", "list-single", "In so many seconds", "30");
    for (size_t i = 0; i < ARRAY_LEN(DELAYS); i++)
        data_form_option(field, DELAYS[i], DELAYS[i]);
}

void admin_shutdown_form(struct elem *form)
{
    fill(form, "Stop the server");
}

void admin_restart_form(struct elem *form)
{
    fill(form, "Restart the server");
}

/* The delay in seconds, or -1. */
static int64_t delay_of(const struct adhoc *call)
{
    const char *delay = data_form_get(call->form, "delay");
    char *end = NULL;
    const unsigned long seconds = delay ? strtoul(delay, &end, 10) : 0;
    return (end && *end) || seconds > MAX_DELAY_S ? -1 : (int64_t)seconds;
}

static void on_announced(size_t users, void *arg)
{
    (void)users;
    struct adhoc *call = arg;
    stop_later(call->shard->backend, delay_of(call) * 1000, call->restart, call->request->from->bare);
    adhoc_finish(call);
}

static void announce(void *arg)
{
    struct adhoc *call = arg;
    const char *text = data_form_lines(call->form, "announcement");
    announce_to_all(call->shard->backend, NULL, NULL, text, on_announced, call);
}

static void order(struct adhoc *call, bool restart)
{
    const char *text = data_form_lines(call->form, "announcement");
    call->restart = restart;
    if (delay_of(call) < 0) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", "the delay is a number of seconds, up to a day");
    } else if (text && strlen(text) > NOTICE_MAX_BYTES) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", "the announcement is too long");
    } else if (text && *text) {
        mailbox_post(call->shard->backend->shards[0]->mailbox, announce, call);
    } else {
        on_announced(0, call);
    }
}

void admin_shutdown(struct adhoc *call)
{
    order(call, false);
}

void admin_restart(struct adhoc *call)
{
    order(call, true);
}
