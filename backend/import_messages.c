#include "backend/import_parts.h"

#include "backend/delay.h"
#include "backend/ns.h"
#include "backend/stanza.h"

#include <stdlib.h>
#include <string.h>

/* The oldest time that the message says it has waited since, or now. */
static int64_t stamp_of(const struct elem *message)
{
    int64_t oldest = delay_now();
    for (const struct elem *child = elem_child(message, NULL, NULL); child; child = elem_next_element(child)) {
        if (!elem_is(child, NS_DELAY, "delay") && !elem_is(child, NS_DELAY_EARLY, "x")) continue;
        const char *stamp = elem_get(child, "stamp");
        int64_t ms = 0;
        if (stamp && delay_read(stamp, &ms) && ms < oldest) oldest = ms;
    }
    return oldest;
}

/* To this user, by some address of its own. */
static void set_recipient(const struct import_user *user, struct elem *message)
{
    const char *text = elem_get(message, "to");
    struct jid *to = text ? jid_parse(text, strlen(text), NULL) : NULL;
    if (!to || !jid_bare_equal(to, user->jid)) elem_set(message, "to", user->jid->bare);
    jid_free(&to);
}

static const char *wrong_with(const struct elem *message)
{
    struct elem *copy = elem_copy(message);
    struct stanza *stanza = stanza_read(copy);
    const char *wrong = NULL;
    if (!stanza) {
        wrong = "it has no valid addresses";
    } else if (stanza->kind != STANZA_MESSAGE || stanza->type == STANZA_ERROR || stanza->type == STANZA_WRONG) {
        wrong = "it is no message that is kept";
    }
    stanza_free(&stanza);
    return wrong;
}

/* Source: XEP-0227 section 4.5. */
void import_messages(struct import_user *user, const struct elem *part)
{
    size_t number = 0;
    for (const struct elem *one = elem_child(part, NULL, NULL); one; one = elem_next_element(one)) {
        struct elem *message = elem_copy(one);
        number++;
        set_recipient(user, message);
        if (!elem_get(message, "from")) elem_set(message, "from", user->jid->domain);
        const char *wrong = elem_is(one, NS_CLIENT, "message") ? wrong_with(message) : "it is no message";
        if (wrong) {
            import_user_note(user, "offline message %zu: %s", number, wrong);
        } else {
            const int64_t stamp = stamp_of(message);
            delay_strip(message, user->jid->domain); /* it is said anew when the message is delivered */
            import_user_entry(user, stamp, message);
        }
        elem_free(&message);
    }
}
