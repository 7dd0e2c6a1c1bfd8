"""RFC 6121 sections 5, 6, 7 and 8, but for the tables of 8.5 (test_delivery_rules): messages, iq stanzas, a whole session,
and what is addressed to nobody, to the server, and elsewhere."""

import pytest

from harness.site import DOMAIN
from harness.stage import body, brief, error, number

conforms = pytest.mark.conforms
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
ELSEWHERE = "romeo@nowhere.invalid"


@pytest.fixture
def cast(stage):
    """Two who are strangers to each other; their accounts are the same for all tests of this file."""
    romeo, juliet = stage.enter("romeo", "orchard"), stage.enter("juliet", "balcony")
    stage.settle()
    yield romeo, juliet
    for party in list(stage.parties):
        stage.remove(party)


@conforms("RFC 6121", "5.2.1", "a message goes to the bare or full address that it names, which stays as it is")
@conforms("RFC 6120", "8.2.1", "a message is pushed to its addressee, without an answer")
@conforms("RFC 6121", "8.1", "the server stamps the sender's full address on it")
def test_to(stage, cast):
    romeo, juliet = cast
    for to in (juliet.bare, juliet.jid):
        romeo.send_message(to, "but soft", id="m")
        juliet.expect("message", "chat", romeo.jid, to, body="but soft", id="m")
    assert stage.settle() == {}


@conforms("RFC 6121", "5.2.2", "a message without a type, or of one that there is not, is a normal one")
@pytest.mark.parametrize("type", ["", "type='normal'", "type='telegram'", "type=''"])
def test_an_unknown_type_is_normal(stage, cast, type):
    romeo, juliet = cast
    chamber = stage.enter(juliet.bare, "chamber", -1)
    stage.settle()
    romeo.send(f"<message {type} to='{juliet.bare}'><body>x</body></message>")
    assert list(stage.settle()) == [juliet]
    stage.remove(juliet)
    romeo.send(f"<message {type} to='{juliet.bare}'><body>later</body></message>")
    assert {party: [body(stanza) for stanza in came] for party, came in stage.settle().items()} == {chamber: [None]}
    again = stage.enter(juliet.bare, "again")
    assert [body(stanza) for stanza in again.kept()] == ["later"]


@conforms("RFC 6121", "5.2.3", "every body of every language is passed on as it is")
@conforms("RFC 6121", "5.2.4", "so is every subject")
@conforms("RFC 6121", "5.2.5", "so is the thread with its parent")
@conforms("RFC 6121", "5.3", "so is what the server does not know")
@conforms("RFC 6120", "8.4", "extended content is passed on untouched")
def test_contents_are_passed_on(cast):
    romeo, juliet = cast
    romeo.send(f"<message type='chat' to='{juliet.jid}' id='all' xml:lang='en'><subject>Imploring</subject>"
               "<subject xml:lang='cs'>Úpěnlivá prosba</subject><body>Wherefore &lt;art&gt; thou &amp; \"'?</body>"
               "<body xml:lang='cs'>Pročež jsi ty, Romeo? 🌹</body><thread parent='p1'>t1</thread>"
               "<x xmlns='urn:example:unknown' a='&lt;1&gt;'><y:y xmlns:y='urn:example:other' y:b='2'> z </y:y></x></message>")
    got = juliet.expect("message", "chat", romeo.jid, id="all")
    assert got.get(LANGUAGE) == "en"
    assert [(child.get(LANGUAGE), child.text) for child in got.findall("{*}body")] == [
        (None, "Wherefore <art> thou & \"'?"), ("cs", "Pročež jsi ty, Romeo? 🌹")]
    assert [child.text for child in got.findall("{*}subject")] == ["Imploring", "Úpěnlivá prosba"]
    assert got.find("{*}thread").attrib == {"parent": "p1"} and got.findtext("{*}thread") == "t1"
    unknown = got.find("{urn:example:unknown}x")
    assert unknown.get("a") == "<1>"
    inner = unknown.find("{urn:example:other}y")
    assert inner.text == " z " and inner.get("{urn:example:other}b") == "2"


@conforms("RFC 6120", "8.3.4", "errors of clients are passed on as they are")
@conforms("RFC 6121", "6", "requests and answers pass between two clients, whatever they contain")
@conforms("RFC 6120", "8.2.3", "a request reaches the client that it is for, and its answer the one that asked")
@pytest.mark.parametrize("type, answer", [("get", "result"), ("set", "result"), ("get", "error"), ("set", "error")])
def test_iq_between_clients(stage, cast, type, answer):
    romeo, juliet = cast
    juliet.send_presence(to=romeo.jid)
    romeo.expect("presence")
    id = romeo.send_iq(type, "<query xmlns='urn:example:game'><move/></query>", juliet.jid)
    request = juliet.expect("iq", type, romeo.jid, juliet.jid, id=id)
    assert request.find("{urn:example:game}query/{urn:example:game}move") is not None
    inner = ("<query xmlns='urn:example:game'/>" if answer == "result" else "<query xmlns='urn:example:game'/>"
             "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    juliet.send_iq(answer, inner, romeo.jid, id)
    got = romeo.expect("iq", answer, juliet.jid, romeo.jid, id=id)
    assert error(got) == (None if answer == "result" else ("wait", "resource-constraint"))
    assert stage.settle() == {}


@conforms("RFC 6121", "8.5.3.1", "a request of one who may not see the resource is answered as if it were not there")
@conforms("RFC 6120", "13.10.2", "an iq does not tell a stranger whether a resource is there")
def test_iq_to_one_who_may_not_be_seen(stage, cast):
    romeo, juliet = cast
    seen = []
    for to in (juliet.jid, f"{juliet.bare}/elsewhere"):
        answer = romeo.request("get", "<query xmlns='urn:example:game'/>", to)
        seen.append((error(answer), answer.get("from") == to))
    assert seen == [(("cancel", "service-unavailable"), True)] * 2
    assert stage.settle() == {}


@conforms("RFC 6121", "7", "log in, roster, presence, a subscription in both directions, a chat, the end")
def test_a_whole_session(stage):
    romeo = stage.enter(None, "orchard", priority=None)
    juliet = stage.enter(None, "balcony", interested=True)
    assert romeo.roster() == {}
    romeo.available(1)
    assert romeo.roster_set(juliet.bare, name="Juliet", groups=("Beloved",)).get("type") == "result"
    romeo.send_presence("subscribe", juliet.bare)
    assert f"presence subscribe from={romeo.bare}" in stage.settled()[juliet.jid]
    juliet.send_presence("subscribed", romeo.bare)
    juliet.send_presence("subscribe", romeo.bare)
    assert f"presence available from={juliet.jid}" in stage.settled()[romeo.jid]
    romeo.send_presence("subscribed", juliet.bare)
    assert f"presence available from={romeo.jid}" in stage.settled()[juliet.jid]
    assert romeo.roster() == {juliet.bare: {"jid": juliet.bare, "name": "Juliet", "subscription": "both",
                                            "groups": ["Beloved"]}}
    romeo.send_message(juliet.bare, "Neither, fair saint", extra="<thread>0e3141cd</thread>")
    juliet.expect("message", "chat", romeo.jid, body="Neither, fair saint")
    juliet.send_message(romeo.jid, "How camest thou hither", extra="<thread>0e3141cd</thread>")
    romeo.expect("message", "chat", juliet.jid, body="How camest thou hither")
    romeo.send_presence(inner="<show>away</show>")
    juliet.expect("presence", "available", romeo.jid)
    stage.settle()
    stage.remove(romeo)
    juliet.expect("presence", "unavailable", romeo.jid)
    assert stage.settle() == {}


@conforms("RFC 6121", "8.2", "without an address a message is for the own account, an iq is answered by it")
@conforms("RFC 6120", "10.3.1", "a message without an address is for the sender's own bare address")
def test_a_message_to_nobody(stage, cast):
    romeo, _ = cast
    other = stage.enter(romeo.bare, "other", 5)
    stage.settle()
    romeo.send_message(None, "note to self")
    assert stage.settled() == {other.jid: [f"message chat from={romeo.jid} «note to self»"]}


@conforms("RFC 6120", "10.3.2", "presence without an address is broadcast")
def test_presence_to_nobody(stage):
    romeo, juliet = stage.enter(), stage.enter()
    stage.befriend(romeo, juliet)
    romeo.send_presence(inner="<show>away</show>")
    assert stage.settled() == {one.jid: [f"presence available from={romeo.jid}"] for one in (romeo, juliet)}


@conforms("RFC 6120", "10.3.3", "an iq without an address is answered on behalf of the account, errors included")
def test_an_iq_to_nobody(cast):
    romeo, _ = cast
    assert romeo.request("get", "<ping xmlns='urn:xmpp:ping'/>").get("type") == "result"
    for to in (None, romeo.bare):
        answer = romeo.request("get", "<query xmlns='urn:example:unknown'/>", to)
        assert error(answer) == ("cancel", "service-unavailable") and answer.get("from") in (None, romeo.bare)


@conforms("RFC 6121", "8.3", "a remote domain that cannot be reached is said to be, in the address's name")
@conforms("RFC 6120", "10.4.3", "what cannot be routed comes back as an error; presence and answers do not")
@conforms("RFC 6120", "8.3.3.16", "remote-server-not-found or -timeout")
def test_a_remote_domain(stage, cast):
    romeo, _ = cast
    known = {("cancel", "remote-server-not-found"), ("wait", "remote-server-timeout")}
    romeo.send_message(ELSEWHERE, "x", id="far")
    assert error(romeo.expect("message", "error", ELSEWHERE, romeo.jid, id="far")) in known
    answer = romeo.request("get", "<ping xmlns='urn:xmpp:ping'/>", ELSEWHERE)
    assert error(answer) in known
    romeo.send_iq("result", "", ELSEWHERE)
    romeo.send_message(ELSEWHERE, type="error")
    assert stage.settle() == {}


@conforms("RFC 6121", "8.4", "what is for the server itself is answered by it, and reaches no user")
@conforms("RFC 6120", "10.5.1", "a stanza for the domain is for the server")
@conforms("RFC 6120", "10.5.2", "so is one for a resource of the domain")
@pytest.mark.parametrize("to", [DOMAIN, f"{DOMAIN}/resource"])
def test_the_server_itself(stage, cast, to):
    romeo, _ = cast
    assert romeo.request("get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN).get("type") == "result"
    answer = romeo.request("set", "<query xmlns='urn:example:unknown'/>", to)
    assert error(answer) == ("cancel", "service-unavailable") and answer.get("from") == to
    romeo.send_message(to, "is anybody there", id="s")
    romeo.send_presence(to=to)
    romeo.send_presence("unavailable", to=to)
    romeo.send_iq("result", "", to)
    came = stage.settle()
    assert [brief(stanza) for stanza in came.get(romeo, [])] in (
        [], [f"message error from={to} error=service-unavailable"])
    assert set(came) <= {romeo}


@conforms("RFC 6120", "10.5.3.2", "a stanza for an account that is there goes by the rules of RFC 6121")
@conforms("RFC 6120", "10.5.4", "one for a resource goes to that resource alone")
def test_a_user_and_a_resource(stage, cast):
    romeo, juliet = cast
    chamber = stage.enter(juliet.bare, "chamber", 5)
    stage.settle()
    romeo.send_message(juliet.jid, "one")
    romeo.send_message(juliet.bare, "two")
    romeo.send_message(chamber.jid, "three")
    came = stage.settle()
    assert [body(stanza) for stanza in came[juliet]] == ["one"]
    assert [body(stanza) for stanza in came[chamber]] == ["two", "three"]


@conforms("RFC 6120", "10.1", "in order for each pair also over the change from away to there: kept ones first")
def test_order_over_the_change_from_kept_to_live(stage, cast):
    romeo, juliet = cast
    for _ in range(3):
        stage.remove(juliet)
        texts = [f"{number()}" for _ in range(60)]
        for text in texts[:30]:
            romeo.send_message(juliet.bare, text)
        juliet = stage.enter(juliet.bare, "balcony", None)
        for text in texts[30:40]:
            romeo.send_message(juliet.bare, text)
        juliet.send_presence()
        for text in texts[40:]:
            romeo.send_message(juliet.bare, text)
        got = []
        while len(got) < len(texts):
            got += [body(stanza) for stanza in [juliet.next()] if body(stanza)]
        assert got == texts
        assert not [stanza for stanza in stage.settle().get(juliet, []) if body(stanza)]


@conforms("XEP-0160", "3", "normal and chat messages with a body are kept; given once, as presence comes, in order, with the time")
@conforms("XEP-0203", "2", "what was kept says when the server got it")
def test_kept_messages(stage, cast):
    romeo, juliet = cast
    stage.remove(juliet)
    for type in ("chat", "normal", "headline", "groupchat", "error"):
        romeo.send_message(juliet.bare, f"a {type}", type, id=type)
    romeo.send_message(juliet.bare, type="chat", extra="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    romeo.expect("message", "error", juliet.bare, error="service-unavailable")  # of type groupchat
    assert stage.settle() == {}
    for priority in (None, -1):  # neither takes what was kept
        resource = stage.enter(juliet.bare, priority=priority)
        assert resource.kept() == []
        stage.remove(resource)
    juliet = stage.enter(juliet.bare, "back")
    kept = juliet.kept()
    assert [body(stanza) for stanza in kept] == ["a chat", "a normal"]
    for stanza in kept:
        delay = stanza.find("{urn:xmpp:delay}delay")
        assert delay.get("from") == DOMAIN and delay.get("stamp").endswith("Z")
        assert stanza.get("from") == romeo.jid and stanza.get("to") == juliet.bare
    stage.remove(juliet)
    juliet = stage.enter(juliet.bare, "once more")
    assert juliet.kept() == []
