#include "bench/backend/manners.h"

#include "bench/common/generator.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

/* XEP-0115 section 5.1; the features are in the order that it wants. */
#define FEATURES(X)     X("http://jabber.org/protocol/caps") X("http://jabber.org/protocol/disco#info") X("urn:xmpp:ping")
#define HASHED(feature) feature "<"
#define LISTED(feature) "<feature var='" feature "'/>"
#define NODE            "https://postern.example/bench"

static uint64_t answered;

void manners_answer(struct session *session, const struct arrival *arrival)
{
    static const char info[] =
        "<query xmlns='http://jabber.org/protocol/disco#info'%s%.*s%s><identity category='client' "
        "type='pc' name='bench'/>" FEATURES(LISTED) "</query>";
    static const char refusal[] = "<error type='cancel'><service-unavailable "
                                  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    struct text all = arrival->element.all, id = arrival->stanza.id, from = arrival->stanza.from;
    char data[2048], inside[1024] = "";
    const char *type = "result";
    bool set = text_is(arrival->stanza.type, TEXT("set"));
    const char *query = text_find(all, TEXT("<query"));
    if (id.at == NULL) session_fail(session, "an iq without an id", all);
    if (query != NULL && text_find(all, TEXT("http://jabber.org/protocol/disco#info")) != NULL) {
        struct text rest = {query, (size_t)(all.at + all.len - query)};
        struct text node = scan_attribute(rest, TEXT("node"));
        snprintf(inside, sizeof(inside), info, node.at != NULL ? " node='" : "", (int)node.len,
                 node.at != NULL ? node.at : "", node.at != NULL ? "'" : "");
    } else if (!(set && text_find(all, TEXT("jabber:iq:roster")) != NULL) &&
               text_find(all, TEXT("urn:xmpp:ping")) == NULL) {
        type = "error";
        snprintf(inside, sizeof(inside), "%s", refusal);
    }
    int len = snprintf(data, sizeof(data), "<iq type='%s' id='%.*s'%s%.*s%s>%s</iq>", type, (int)id.len, id.at,
                       from.at != NULL ? " to='" : "", (int)from.len, from.at != NULL ? from.at : "",
                       from.at != NULL ? "'" : "", inside);
    if (len >= (int)sizeof(data)) session_fail(session, "an iq with a long id", all);
    session_send(session, data, (size_t)len, 1);
    answered++;
}

uint64_t manners_answered(void)
{
    return answered;
}

static uint32_t handled(struct session *session, const struct scan_element *element)
{
    struct text h = scan_attribute(element->tag, TEXT("h"));
    char number[16];
    if (h.at == NULL || h.len >= sizeof(number)) session_fail(session, "an <a/> without a number", element->all);
    memcpy(number, h.at, h.len);
    number[h.len] = '\0';
    return (uint32_t)number_parse(number);
}

void manners_acknowledge(struct session *session)
{
    char data[64];
    int len = snprintf(data, sizeof(data), "<a xmlns='urn:xmpp:sm:3' h='%u'/>", session->sm_in);
    session_say(session, data, (size_t)len);
}

void manners_on_element(struct session *session, const struct scan_element *element)
{
    if (session->sm && text_is(element->name, TEXT("r"))) {
        manners_acknowledge(session);
        return;
    }
    if (!session->sm || !text_is(element->name, TEXT("a"))) session_fail(session, "an unknown element", element->all);
    if (handled(session, element) > session->sm_out)
        session_fail(session, "the server acknowledges more than was sent", element->all);
    session->sm_asked = false;
}

size_t manners_presence(char *out, size_t cap, const char *inside)
{
    static char version[32];
    static const char hashed[] = "client/pc//bench<" FEATURES(HASHED);
    if (version[0] == '\0') {
        uint8_t digest[SHA_DIGEST_LENGTH];
        SHA1((const uint8_t *)hashed, sizeof(hashed) - 1, digest);
        EVP_EncodeBlock((unsigned char *)version, digest, sizeof(digest));
    }
    int len = snprintf(out, cap,
                       "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='" NODE
                       "' ver='%s'/>%s</presence>",
                       version, inside);
    if (len < 0 || (size_t)len >= cap) fail("a presence that is too long");
    return (size_t)len;
}
