#include "backend/archive_policy.h"

#include "backend/ns.h"

#include <string.h>

/* What a conversation consists of; states alone, such as that somebody is typing, are not among it.  name NULL: any. */
static const struct {
    const char *ns, *name;
} CONTENT[] = {
    {NS_CLIENT, "body"},
    {NS_CLIENT, "subject"},
    {"urn:xmpp:eme:0", "encryption"},                /* XEP-0380: nobody here knows what is in it */
    {"eu.siacs.conversations.axolotl", "encrypted"}, /* XEP-0384 */
    {"urn:xmpp:omemo:2", "encrypted"},               /* XEP-0384 */
    {"urn:xmpp:openpgp:0", "openpgp"},               /* XEP-0373 */
    {"jabber:x:encrypted", "x"},                     /* XEP-0027 */
    {"urn:xmpp:receipts", NULL},                     /* XEP-0184 */
    {"urn:xmpp:chat-markers:0", NULL},               /* XEP-0333 */
    {"urn:xmpp:reactions:0", "reactions"},           /* XEP-0444 */
    {"urn:xmpp:message-retract:0", NULL},            /* XEP-0424, early */
    {"urn:xmpp:message-retract:1", NULL},            /* XEP-0424 */
    {"urn:xmpp:fasten:0", "apply-to"},               /* XEP-0422 */
    {"urn:xmpp:jingle-message:0", NULL},             /* XEP-0353: calls */
    {"jabber:x:conference", "x"},                    /* XEP-0249: invitations */
    {"http://jabber.org/protocol/muc#user", "x"},    /* XEP-0045: likewise */
    {"http://jabber.org/protocol/xhtml-im", "html"}, /* XEP-0071 */
};

static bool is_content(const struct elem *child)
{
    for (size_t i = 0; i < ARRAY_LEN(CONTENT); i++)
        if (elem_is(child, CONTENT[i].ns, CONTENT[i].name)) return true;
    return false;
}

bool archive_policy_keeps(const struct stanza *stanza)
{
    if (stanza->kind != STANZA_MESSAGE || (stanza->type != STANZA_NORMAL && stanza->type != STANZA_CHAT)) return false;
    bool keeps = false;
    for (const struct elem *child = elem_child(stanza->elem, NULL, NULL); child; child = elem_next_element(child)) {
        const bool hint = strcmp(child->ns, NS_HINTS) == 0;
        if (hint && (strcmp(child->name, "no-store") == 0 || strcmp(child->name, "no-permanent-store") == 0))
            return false;
        keeps = keeps || (hint && strcmp(child->name, "store") == 0) || (!keeps && is_content(child));
    }
    return keeps;
}
