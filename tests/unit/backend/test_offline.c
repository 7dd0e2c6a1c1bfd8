/* Messages that wait: what is kept, how it is given back, limits and time. */
#include "players.h"

#include "backend/offline.h"
#include "backend/offline_run.h"

static const struct {
    const char *stanza;
    bool storable;
} KINDS[] = {
    {"<message><body>x</body></message>", true},
    {"<message type='normal'><body>x</body></message>", true},
    {"<message type='made-up'><body>x</body></message>", true},
    {"<message type='chat'><body>x</body></message>", true},
    {"<message type='chat'><body/></message>", true},
    {"<message type='chat'><subject>x</subject></message>", true},
    {"<message type='chat'><received xmlns='urn:xmpp:receipts' id='1'/></message>", true},
    {"<message type='chat'><x xmlns='jabber:x:conference' jid='room@example.test'/></message>", true},
    {"<message type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/><body>x</body></message>", true},
    {"<message type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
    {"<message type='chat'><thread>t</thread><gone xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
    {"<message type='chat'/>", false},
    {"<message/>", false},
    {"<message type='chat'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>", false},
    {"<message type='chat'><body>x</body><no-store xmlns='urn:example:other'/></message>", true},
    {"<message type='chat'><body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>", true},
    {"<message type='groupchat'><body>x</body></message>", false},
    {"<message type='headline'><body>x</body></message>", false},
    {"<message type='error'><body>x</body></message>", false},
    {"<presence><status>x</status></presence>", false},
    {"<iq type='get' id='1'><x xmlns='y'/></iq>", false},
};

static void what_is_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        struct stanza *stanza = stanza_new(parse(KINDS[i].stanza));
        if (offline_is_storable(stanza) != KINDS[i].storable) fail_msg("%s", KINDS[i].stanza);
        stanza_free(&stanza);
    }
}

static void send_numbers(struct client *client, const char *to, unsigned from, unsigned end)
{
    char text[256];
    for (unsigned i = from; i < end; i++) {
        snprintf(text, sizeof(text), "<message to='%s' type='chat'><body>number %u.</body></message>", to, i);
        assert_null(session_receive(client->stream.session, parse(text)).condition);
    }
    settle();
}

/* The numbers that a client has been sent, all in order from the first on; returns how many. */
static unsigned count_numbers(struct client *client, unsigned from)
{
    char wanted[64];
    unsigned count = 0;
    buf_append(&client->out, "", 1);
    const char *place = (const char *)buf_data(&client->out);
    while (snprintf(wanted, sizeof(wanted), "number %u.", from + count), (place = strstr(place, wanted)) != NULL)
        count++;
    buf_free(&client->out);
    return count;
}

static void a_long_queue_is_given_in_order(void **state)
{
    struct client romeo, juliet;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    add_account("long@example.test");
    send_numbers(&romeo, "long@example.test", 0, 100);
    enter(&juliet, "long@example.test", "r");
    say(&juliet, "<presence><priority>-1</priority></presence>");
    assert_int_equal(count_numbers(&juliet, 0), 0);
    say(&juliet, "<presence/>");
    for (unsigned i = 0; i < 8; i++)
        settle();
    send_numbers(&romeo, "long@example.test", 100, 110);
    assert_int_equal(count_numbers(&juliet, 0), 110);
    say(&juliet, "<presence><priority>-1</priority></presence>");
    say(&juliet, "<presence/>");
    assert_int_equal(count_numbers(&juliet, 0), 0); /* what was given is gone */
    leave(&juliet);
    leave(&romeo);
}

/* A client that does not read is waited for, and what comes meanwhile goes behind the rest. */
static void a_slow_client_keeps_the_order(void **state)
{
    struct client romeo, juliet, phone;
    (void)state;
    bind_as(&romeo, "romeo@example.test", "a");
    add_account("slow@example.test");
    send_numbers(&romeo, "slow@example.test", 0, 40);
    enter(&juliet, "slow@example.test", "r");
    juliet.pending = 1 << 20;
    say(&juliet, "<presence/>");
    settle();
    send_numbers(&romeo, "slow@example.test", 40, 45);
    send_numbers(&romeo, "slow@example.test/r", 45, 50);
    say(&romeo, "<message to='slow@example.test' type='headline'><body>news</body></message>");
    char *text = (char *)(uintptr_t)buf_data(&juliet.out);
    buf_append(&juliet.out, "", 1);
    text = (char *)(uintptr_t)buf_data(&juliet.out);
    assert_non_null(strstr(text, "news"));
    assert_non_null(strstr(text, "number 0."));
    assert_null(strstr(text, "number 1."));
    buf_free(&juliet.out);
    juliet.pending = 0;
    offline_run_continue(juliet.stream.session);
    for (unsigned i = 0; i < 4; i++)
        settle();
    assert_int_equal(count_numbers(&juliet, 1), 49);

    /* one that leaves in the middle: the other available one gets the rest */
    say(&juliet, "<presence><priority>-1</priority></presence>");
    send_numbers(&romeo, "slow@example.test", 100, 150);
    juliet.pending = 1 << 20;
    say(&juliet, "<presence/>");
    enter(&phone, "slow@example.test", "phone");
    say(&phone, "<presence/>");
    buf_free(&phone.out);
    leave(&juliet);
    for (unsigned i = 0; i < 6; i++)
        settle();
    assert_int_equal(count_numbers(&phone, 101), 49);
    leave(&phone);
    leave(&romeo);
}

static void a_delay_is_added(void **state)
{
    struct client romeo, juliet;
    (void)state;
    bind_as(&romeo, "romeo@example.org", "a");
    add_account("late@example.test");
    say(&romeo, "<message to='late@example.test' id='m' xml:lang='it'><body>ciao</body></message>");
    enter(&juliet, "late@example.test", "r");
    say(&juliet, "<presence/>");
    const char *text = heard(&juliet);
    assert_non_null(strstr(text, "<message to='late@example.test' id='m' xml:lang='it' from='romeo@example.org/a'>"
                                 "<body>ciao</body><stanza-id xmlns='urn:xmpp:sid:0' by='late@example.test' id='"));
    assert_non_null(strstr(text, "<delay xmlns='urn:xmpp:delay' from='example.test' stamp='20"));
    leave(&juliet);
    leave(&romeo);
}

static struct host *host(void)
{
    return (struct host *)(uintptr_t)hosts_find(hosts, "example.test");
}

static void a_full_queue_is_refused(void **state)
{
    struct client romeo, juliet;
    (void)state;
    host()->offline_messages = 3;
    bind_as(&romeo, "romeo@example.test", "a");
    add_account("full@example.test");
    send_numbers(&romeo, "full@example.test", 0, 3);
    assert_silent(&romeo);
    send_numbers(&romeo, "full@example.test", 3, 5);
    assert_heard(&romeo, "<service-unavailable");
    enter(&juliet, "full@example.test", "r");
    say(&juliet, "<presence/>");
    assert_int_equal(count_numbers(&juliet, 0), 3);
    leave(&juliet);
    host()->offline_messages = 0;
    send_numbers(&romeo, "full@example.test", 5, 6);
    assert_heard(&romeo, "<service-unavailable");
    send_numbers(&romeo, "nobody@example.test", 5, 6);
    assert_heard(&romeo, "<service-unavailable"); /* the same */
    leave(&romeo);
    host()->offline_messages = 1000;
}

static void on_added(enum store_status status, uint64_t id, void *arg)
{
    (void)id;
    (void)arg;
    assert_int_equal(status, STORE_OK);
}

static void add_old(const char *owner, unsigned number)
{
    char text[256];
    const int len =
        snprintf(text, sizeof(text), "<message to='%s' from='a@b'><body>number %u.</body></message>", owner, number);
    store_queue_add(backend.store, backend.shards[0]->mailbox, owner, STORE_OFFLINE, 1000000, text, (size_t)len, NULL,
                    on_added, NULL);
    settle();
}

/* What is too old is not delivered, and makes room when there is none. */
static void old_messages_expire(void **state)
{
    struct client romeo, juliet;
    (void)state;
    host()->offline_expire_ms = 86400000;
    host()->offline_messages = 3;
    bind_as(&romeo, "romeo@example.test", "a");
    add_account("old@example.test");
    for (unsigned i = 0; i < 3; i++)
        add_old("old@example.test", i);
    send_numbers(&romeo, "old@example.test", 10, 12);
    assert_silent(&romeo);
    add_old("old@example.test", 12); /* by a clock that was set back */
    enter(&juliet, "old@example.test", "r");
    say(&juliet, "<presence/>");
    assert_int_equal(count_numbers(&juliet, 10), 2);
    say(&juliet, "<presence><priority>-1</priority></presence>");
    host()->offline_expire_ms = 0;
    say(&juliet, "<presence/>");
    assert_int_equal(count_numbers(&juliet, 12), 0); /* deleted */
    leave(&juliet);
    leave(&romeo);
    host()->offline_messages = 1000;
}

/* What stands in the store and is no message does not keep the rest from coming. */
static void a_damaged_entry_is_passed_over(void **state)
{
    struct client juliet;
    (void)state;
    add_account("damaged@example.test");
    add_old("damaged@example.test", 0);
    static const char *const rubbish[] = {"", "rubbish", "<message to='damaged@example.test'>", "<x xmlns='y'/>",
                                          "<message from='@@' to='damaged@example.test'/>"};
    for (size_t i = 0; i < ARRAY_LEN(rubbish); i++)
        store_queue_add(backend.store, backend.shards[0]->mailbox, "damaged@example.test", STORE_OFFLINE, 1, rubbish[i],
                        strlen(rubbish[i]), NULL, on_added, NULL);
    settle();
    add_old("damaged@example.test", 1);
    enter(&juliet, "damaged@example.test", "r");
    say(&juliet, "<presence/>");
    assert_int_equal(count_numbers(&juliet, 0), 2);
    leave(&juliet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(a_long_queue_is_given_in_order),
        cmocka_unit_test(a_delay_is_added),
        cmocka_unit_test(a_slow_client_keeps_the_order),
        cmocka_unit_test(old_messages_expire),
        cmocka_unit_test(a_full_queue_is_refused),
        cmocka_unit_test(a_damaged_entry_is_passed_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
