/* Which messages archives keep. */
#include "backend/archive_policy.h"

#include "backend/elem_parse.h"
#include "backend/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct {
    const char *stanza;
    bool kept;
} ROWS[] = {
    {"<message><body>x</body></message>", true},
    {"<message type='chat'><body>x</body></message>", true},
    {"<message type='made-up'><body/></message>", true},
    {"<message type='chat'><subject>x</subject></message>", true},
    {"<message type='chat'><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>", true},
    {"<message type='chat'><received xmlns='urn:xmpp:receipts' id='1'/></message>", true},
    {"<message type='chat'><x xmlns='jabber:x:conference' jid='room@example.test'/></message>", true},
    {"<message type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
    {"<message type='chat'><x xmlns='urn:example:other'/></message>", false},
    {"<message type='chat'><body xmlns='urn:example:other'>x</body></message>", false},
    {"<message type='chat'/>", false},
    {"<message type='chat'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>", false},
    {"<message type='chat'><no-permanent-store xmlns='urn:xmpp:hints'/><body>x</body></message>", false},
    {"<message type='chat'><store xmlns='urn:xmpp:hints'/><no-store xmlns='urn:xmpp:hints'/></message>", false},
    {"<message type='chat'><store xmlns='urn:xmpp:hints'/></message>", true},
    {"<message type='chat'><no-copy xmlns='urn:xmpp:hints'/></message>", false},
    {"<message type='groupchat'><body>x</body></message>", false},
    {"<message type='headline'><body>x</body></message>", false},
    {"<message type='error'><body>x</body><store xmlns='urn:xmpp:hints'/></message>", false},
    {"<presence><store xmlns='urn:xmpp:hints'/></presence>", false},
    {"<iq type='get' id='1'><body/></iq>", false},
};

static void what_is_kept(void **state)
{
    struct xml *parser = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct stanza *stanza = stanza_new(elem_parse(&parser, ROWS[i].stanza, strlen(ROWS[i].stanza)));
        assert_non_null(stanza);
        if (archive_policy_keeps(stanza) != ROWS[i].kept) fail_msg("%s", ROWS[i].stanza);
        stanza_free(&stanza);
    }
    xml_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
