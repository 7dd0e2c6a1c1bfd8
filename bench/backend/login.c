#include "bench/backend/login.h"

#include "bench/backend/manners.h"
#include "bench/backend/scram.h"
#include "bench/common/generator.h"

#include <stdio.h>
#include <stdlib.h>

#define SASL     "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define RESOURCE "bench"

struct login {
    void (*step)(struct session *session, const struct scan_element *element); /* NULL: not yet connected */
    char user[32];
    struct scram scram;
};

static void on_features(struct session *session, const struct scan_element *element);

void login_begin(struct session *session)
{
    session->login = calloc(1, sizeof(*session->login));
    if (session->login == NULL) fail("out of memory");
    snprintf(session->login->user, sizeof(session->login->user), "user%u", session->user);
}

static void say(struct session *session, const char *format, const char *one, const char *other)
{
    char data[2 * SCRAM_TEXT_BYTES];
    int len = snprintf(data, sizeof(data), "<%s%s%s>", format, one, other);
    session_say(session, data, (size_t)len);
}

static void begin_stream(struct session *session)
{
    char data[512];
    int len = snprintf(data, sizeof(data),
                       "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xml:lang='en' xmlns='jabber:client' "
                       "xmlns:stream='http://etherx.jabber.org/streams'>",
                       session_options()->domain);
    session_say(session, data, (size_t)len);
}

void login_on_open(struct session *session)
{
    if (session->login->step != NULL) return;
    session->login->step = on_features;
    begin_stream(session);
}

void login_on_element(struct session *session, const struct scan_element *element)
{
    session->login->step(session, element);
}

static void expect(struct session *session, const struct scan_element *element, struct text name)
{
    if (!text_is(element->name, name)) session_fail(session, "the login failed", element->all);
}

/* The text of an element that has no others in it. */
static struct text inside(const struct scan_element *element)
{
    struct text text = {element->tag.at + element->tag.len, 0};
    const char *end = memrchr(element->all.at, '<', element->all.len);
    if (end >= text.at) text.len = (size_t)(end - text.at);
    return text;
}

static void finish(struct session *session)
{
    free(session->login);
    session->login = NULL;
    session_enter(session);
}

static void on_sm(struct session *session, const struct scan_element *element)
{
    expect(session, element, TEXT("enabled"));
    session->sm = true;
    session->sm_in = session->sm_out = 0;
    finish(session);
}

static void on_bound(struct session *session, const struct scan_element *element)
{
    static const char enable[] = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
    expect(session, element, TEXT("iq"));
    struct text jid = scan_inside(element->all, TEXT("jid"));
    if (!text_is(scan_attribute(element->tag, TEXT("type")), TEXT("result")) || jid.at == NULL)
        session_fail(session, "no resource was bound", element->all);
    free(session->jid);
    session->jid = strndup(jid.at, jid.len);
    session->jid_len = jid.len;
    if (session->jid == NULL) fail("out of memory");
    if (!session_options()->sm) {
        finish(session);
        return;
    }
    session->login->step = on_sm;
    session_say(session, enable, sizeof(enable) - 1);
}

static void on_bind_features(struct session *session, const struct scan_element *element)
{
    static const char bind[] =
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" RESOURCE
        "</resource></bind></iq>";
    expect(session, element, TEXT("stream:features"));
    if (session_options()->sm && text_find(element->all, TEXT("urn:xmpp:sm:3")) == NULL)
        session_fail(session, "the server does not offer stream management", element->all);
    session->login->step = on_bound;
    session_say(session, bind, sizeof(bind) - 1);
}

static void on_success(struct session *session, const struct scan_element *element)
{
    expect(session, element, TEXT("success"));
    if (strcmp(session_options()->mechanism, "PLAIN") != 0 && !scram_verify(&session->login->scram, inside(element)))
        session_fail(session, "the server does not know the password", element->all);
    session->login->step = on_bind_features;
    begin_stream(session);
}

static void on_challenge(struct session *session, const struct scan_element *element)
{
    char message[SCRAM_TEXT_BYTES];
    expect(session, element, TEXT("challenge"));
    const char *why = scram_final(&session->login->scram, session->login->user, inside(element), message);
    if (why != NULL) session_fail(session, why, element->all);
    session->login->step = on_success;
    say(session, "response " SASL ">", message, "</response");
}

static void on_features(struct session *session, const struct scan_element *element)
{
    char message[SCRAM_TEXT_BYTES], offered[64];
    const char *mechanism = session_options()->mechanism;
    expect(session, element, TEXT("stream:features"));
    int len = snprintf(offered, sizeof(offered), ">%s<", mechanism);
    if (text_find(element->all, (struct text){offered, (size_t)len}) == NULL)
        session_fail(session, "the server does not offer the mechanism", element->all);
    if (strcmp(mechanism, "PLAIN") == 0) {
        scram_plain(session->login->user, message);
        session->login->step = on_success;
        say(session, "auth " SASL " mechanism='PLAIN'>", message, "</auth");
    } else {
        scram_first(&session->login->scram, session->login->user, message);
        session->login->step = on_challenge;
        say(session, "auth " SASL " mechanism='SCRAM-SHA-256'>", message, "</auth");
    }
}
