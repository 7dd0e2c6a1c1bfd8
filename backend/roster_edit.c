#include "backend/roster_edit.h"

#include "backend/backend_config.h"
#include "backend/jid.h"
#include "backend/roster_push.h"
#include "backend/shard.h"
#include "backend/stanza_error.h"
#include "backend/subscription.h"

#include <stdlib.h>
#include <string.h>

enum { FINE = -1 };

/* An edit that is being stored. */
struct edit_work {
    struct jid *contact;
    uint8_t old; /* its flags */
    roster_change_fn *fn;
    void *arg;
};

static int check_groups(const struct elem *item, const struct backend_config *config)
{
    int64_t count = 0;
    for (const struct elem *g = elem_child(item, NULL, NULL); g; g = elem_next_element(g)) {
        if (!elem_is(g, item->ns, "group")) continue;
        size_t len = 0;
        const char *text = elem_text(g, &len);
        if (len == 0 || len > (size_t)config->roster_name_bytes || ++count > config->roster_groups)
            return STANZA_ERROR_NOT_ACCEPTABLE;
        for (const struct elem *h = elem_child(item, NULL, NULL); h != g; h = elem_next_element(h))
            if (elem_is(h, item->ns, "group") && strcmp(elem_text(h, NULL), text) == 0) return STANZA_ERROR_BAD_REQUEST;
    }
    return FINE;
}

/* Section 2.3.3. */
static int check_content(const struct user *user, const struct elem *item, uint8_t old)
{
    const struct backend_config *config = shard_config(user->shard);
    const char *name = elem_get(item, "name");
    if (name && strlen(name) > (size_t)config->roster_name_bytes) return STANZA_ERROR_NOT_ACCEPTABLE;
    if (!(old & ROSTER_LISTED) && (int64_t)roster_count(user, ROSTER_LISTED) >= config->roster_items)
        return STANZA_ERROR_RESOURCE_CONSTRAINT;
    return check_groups(item, config);
}

static int check_address(const struct user *user, const char *text, struct jid **jid)
{
    *jid = text ? jid_parse(text, strlen(text), NULL) : NULL;
    if (!text) return STANZA_ERROR_BAD_REQUEST;
    if (!*jid) return STANZA_ERROR_JID_MALFORMED;
    if ((*jid)->resource) return STANZA_ERROR_BAD_REQUEST;
    return strcmp((*jid)->bare, user->bare) == 0 ? STANZA_ERROR_NOT_ALLOWED : FINE;
}

/* The flags after the edit.  What is granted is not asked for any more. */
static uint8_t edited(uint8_t old, enum roster_edit edit)
{
    static const uint8_t GRANTED[] = {
        [ROSTER_EDIT_NONE] = 0,
        [ROSTER_EDIT_TO] = ROSTER_TO,
        [ROSTER_EDIT_FROM] = ROSTER_FROM,
        [ROSTER_EDIT_BOTH] = ROSTER_TO | ROSTER_FROM,
    };
    if (edit == ROSTER_EDIT_REMOVE) return 0;
    if (edit == ROSTER_EDIT_KEEP) return old | ROSTER_LISTED;
    uint8_t flags = (uint8_t)(old & ~(ROSTER_TO | ROSTER_FROM)) | GRANTED[edit] | ROSTER_LISTED;
    if (flags & ROSTER_TO) flags &= (uint8_t)~ROSTER_PENDING_OUT;
    if (flags & ROSTER_FROM) flags &= (uint8_t) ~(ROSTER_PENDING_IN | ROSTER_APPROVED);
    return flags;
}

static void on_changed(struct user *user, enum store_status status, void *arg)
{
    struct edit_work *w = arg;
    if (status == STORE_OK) roster_push(user, w->contact->bare);
    w->fn(user, status, w->arg);
    if (status == STORE_OK) {
        const uint8_t now = roster_flags(user, w->contact->bare);
        if (now == 0) {
            subscription_end(user, w->contact, w->old);
        } else {
            subscription_follow(user, w->contact, w->old, now);
        }
    }
    jid_free(&w->contact);
    free(w);
}

static void begin(struct user *user, struct roster_item *item, struct edit_work work)
{
    struct edit_work *w = MEM_NEW(struct edit_work);
    *w = work;
    roster_change(user, item, NULL, on_changed, w);
}

int roster_edit(struct user *user, const struct elem *elem, enum roster_edit edit, roster_change_fn *fn, void *arg)
{
    struct jid *contact = NULL;
    if (user->temporary) return STANZA_ERROR_NOT_ALLOWED;
    int error = check_address(user, elem_get(elem, "jid"), &contact);
    const uint8_t old = error == FINE ? roster_flags(user, contact->bare) : 0;
    if (error == FINE && edit != ROSTER_EDIT_REMOVE) error = check_content(user, elem, old);
    if (error == FINE && edit == ROSTER_EDIT_REMOVE && !(old & ROSTER_LISTED)) error = STANZA_ERROR_ITEM_NOT_FOUND;
    if (error != FINE) {
        jid_free(&contact);
        return error;
    }
    struct roster_item *item = roster_item_new(contact->bare, elem);
    item->flags = edited(old, edit);
    begin(user, item, (struct edit_work){contact, old, fn, arg});
    return FINE;
}
