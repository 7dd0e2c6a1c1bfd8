/* admin_notices - XEP-0133: announcements, the message of the day, the welcome. */
#include "backend/adhoc.h"
#include "backend/announce.h"
#include "backend/data_form.h"
#include "backend/notice.h"
#include "backend/shard.h"

#include <string.h>

/* The text of the form's field; NULL: refused. */
static const char *text_of(struct adhoc *call, const char *var)
{
    const char *text = data_form_lines(call->form, var);
    if (text && strlen(text) <= NOTICE_MAX_BYTES) return text;
    adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", "the text is too long");
    return NULL;
}

void admin_announce_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {
        {"subject", "text-single", "Subject", false},
        {"announcement", "text-multi", "Announcement", true},
    };
    adhoc_fill(form, "Send an announcement to all who are online", FIELDS, ARRAY_LEN(FIELDS));
}

static void on_announced(size_t users, void *arg)
{
    adhoc_note(arg, "info", "Sent to %zu users.", users);
    adhoc_finish(arg);
}

static void announce(void *arg)
{
    struct adhoc *call = arg;
    const char *subject = data_form_get(call->form, "subject");
    announce_to_all(call->shard->backend, call->request->to->domain, subject && *subject ? subject : NULL,
                    data_form_lines(call->form, "announcement"), on_announced, call);
}

void admin_announce(struct adhoc *call)
{
    if (text_of(call, "announcement")) mailbox_post(call->shard->backend->shards[0]->mailbox, announce, call);
}

static void on_set(enum store_status status, void *arg)
{
    if (status == STORE_OK) {
        adhoc_finish(arg);
    } else {
        adhoc_refuse(arg, status == STORE_FULL ? STANZA_ERROR_RESOURCE_CONSTRAINT : STANZA_ERROR_INTERNAL_SERVER_ERROR,
                     NULL, NULL);
    }
}

void admin_motd_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {{"motd", "text-multi", "Message of the day", true}};
    adhoc_fill(form, "Message of the day", FIELDS, ARRAY_LEN(FIELDS));
}

static void set_motd(struct adhoc *call, bool anew)
{
    const char *text = text_of(call, "motd");
    if (!text) return;
    notice_set_motd(call->shard->backend, call->request->to->domain, text, anew, call->shard->mailbox, on_set, call);
}

void admin_motd_set(struct adhoc *call)
{
    set_motd(call, true);
}

void admin_motd_edit(struct adhoc *call)
{
    set_motd(call, false);
}

void admin_motd_delete(struct adhoc *call)
{
    notice_set_motd(call->shard->backend, call->request->to->domain, NULL, false, call->shard->mailbox, on_set, call);
}

void admin_welcome_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {{"welcome", "text-multi", "Message to new users", true}};
    adhoc_fill(form, "Message that welcomes new users", FIELDS, ARRAY_LEN(FIELDS));
}

void admin_welcome_set(struct adhoc *call)
{
    const char *text = text_of(call, "welcome");
    if (!text) return;
    notice_set_welcome(call->shard->backend, call->request->to->domain, text, call->shard->mailbox, on_set, call);
}

void admin_welcome_delete(struct adhoc *call)
{
    notice_set_welcome(call->shard->backend, call->request->to->domain, NULL, call->shard->mailbox, on_set, call);
}
