"""RFC 6120 section 8: the attributes of stanzas, the three kinds, and stanza errors."""

import pytest

from harness.site import DOMAIN
from harness.stage import Stage, body, error, number

conforms = pytest.mark.conforms
PING = "<ping xmlns='urn:xmpp:ping'/>"
UNKNOWN = "<query xmlns='urn:example:unknown'/>"
REFUSED = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


@pytest.fixture(scope="module")
def shared(backend_site):
    with Stage(backend_site) as stage:
        yield stage, stage.enter("romeo", "orchard"), stage.enter("juliet", "balcony")


@pytest.fixture
def stage(shared):
    """The same two for all tests of this file, and nothing is left of the test before."""
    shared[0].settle()
    return shared[0]


@pytest.fixture
def cast(stage, shared):
    return shared[1:]


@conforms("RFC 6120", "8.1.2.1", "a from that is one's own is accepted, and what goes out has the full address")
@conforms("RFC 6120", "8.1.1.1", "a to is passed on as it is, but for its preparation")
@pytest.mark.parametrize("kind", ["message", "iq"])
def test_an_own_from(stage, cast, kind):
    romeo, juliet = cast
    juliet.send_presence(to=romeo.bare)  # or a stranger's iq would not get to her
    romeo.expect("presence", "available", juliet.jid)
    for given in (None, romeo.jid, romeo.bare, romeo.jid.upper().split("/")[0] + "/orchard"):
        if kind == "message":
            romeo.send_message(juliet.jid.replace(DOMAIN, DOMAIN.upper()), "x", **({"from": given} if given else {}))
            juliet.expect("message", "chat", romeo.jid, juliet.jid, body="x")
        else:
            id = romeo.send_iq("get", UNKNOWN, juliet.jid, **({"from": given} if given else {}))
            juliet.expect("iq", "get", romeo.jid, juliet.jid, id=id)
            juliet.send_iq("result", "", romeo.jid, id)
            romeo.expect("iq", "result", juliet.jid, id=id)
    juliet.send_presence("unavailable", romeo.bare)
    romeo.expect("presence", "unavailable", juliet.jid)
    assert stage.settle() == {}


@conforms("RFC 6120", "8.1.2.1", "any other from ends the stream with invalid-from, and nothing is delivered")
@conforms("RFC 6120", "4.9.3.9", "invalid-from for a stanza in another's name")
@pytest.mark.parametrize("forged", ["another user", "another resource", "the server", "another domain", "not an address"])
@pytest.mark.parametrize("kind", ["message", "presence", "iq"])
def test_a_forged_from(stage, cast, forged, kind):
    romeo, juliet = stage.enter("romeo", "forger"), cast[1]
    stage.settle()
    who = {"another user": juliet.jid, "another resource": f"{romeo.bare}/elsewhere", "the server": DOMAIN,
           "another domain": "romeo@elsewhere.example", "not an address": "@/"}[forged]
    inner = {"message": "<body>x</body>", "presence": "", "iq": PING}[kind]
    romeo.send(f"<{kind} from='{who}' to='{juliet.jid}' id='f' type='{'get' if kind == 'iq' else 'unavailable'}'>"
               f"{inner}</{kind}>")
    answer = romeo.next()
    assert answer.find("{urn:ietf:params:xml:ns:xmpp-streams}invalid-from") is not None
    stage.remove(romeo)
    assert juliet not in stage.settle()


@conforms("RFC 6120", "8.1.1", "an address that is none is refused with jid-malformed")
@conforms("RFC 6120", "8.3.3.8", "jid-malformed for a to that is not an address")
@pytest.mark.parametrize("to", ["@", f"@{DOMAIN}", f"ro meo@{DOMAIN}", f"{DOMAIN}/", f"a@{DOMAIN}/", "a@b@c",
                                "x" * 1024 + f"@{DOMAIN}"])
def test_a_malformed_to(stage, cast, to):
    romeo, _ = cast
    romeo.send_message(to, "x", id="m")
    assert error(romeo.expect("message", "error", id="m")) == ("modify", "jid-malformed")
    assert error(romeo.request("get", PING, to)) == ("modify", "jid-malformed")
    romeo.send_iq("result", "", to)
    romeo.send_message(to, type="error")
    assert stage.settle() == {}


@conforms("RFC 6120", "8.1.3", "the id of a request is that of its answer, whatever is in it")
@pytest.mark.parametrize("id", ["a", "x" * 500, "&lt;&amp;&quot;&apos;>", "Ünï ćødé 🌹", " leading"])
def test_ids(cast, id):
    romeo, juliet = cast
    wanted = id.replace("&quot;", '"').replace("&apos;", "'").replace("&lt;", "<").replace("&amp;", "&")
    romeo.send(f"<iq type='get' id='{id}' to='{DOMAIN}'>{PING}</iq>")
    romeo.expect("iq", "result", DOMAIN, id=wanted)
    romeo.send(f"<iq type='get' id='{id}'>{UNKNOWN}</iq>")
    romeo.expect("iq", "error", id=wanted)
    romeo.send(f"<message to='{juliet.jid}' id='{id}'><body>x</body></message>")
    juliet.expect("message", id=wanted)


@conforms("RFC 6120", "8.2.3", "an iq has an id, a known type, and as many children as its type asks for")
@conforms("RFC 6120", "8.1.3", "an iq without an id is refused")
@conforms("RFC 6120", "8.1.4", "an iq with another type, or none, is refused")
@conforms("RFC 6120", "8.3.3.1", "bad-request for an iq that is no iq")
@pytest.mark.parametrize("to", ["the server", "the account", "another client"])
@pytest.mark.parametrize("iq", [
    f"<iq type='get' TO>{PING}</iq>", f"<iq type='' id='i' TO>{PING}</iq>", f"<iq id='i' TO>{PING}</iq>",
    f"<iq type='ask' id='i' TO>{PING}</iq>", "<iq type='get' id='i' TO/>", "<iq type='set' id='i' TO/>",
    f"<iq type='get' id='i' TO>{PING}{PING}</iq>", f"<iq type='set' id='i' TO>{PING}{UNKNOWN}</iq>",
], ids=["no id", "empty type", "no type", "bad type", "get without child", "set without child", "two children",
        "two different children"])
def test_a_malformed_request(stage, cast, iq, to):
    romeo, juliet = cast
    address = {"the server": DOMAIN, "the account": romeo.bare, "another client": juliet.jid}[to]
    romeo.send(iq.replace("TO", f"to='{address}'"))
    answer = romeo.expect("iq", "error")
    assert error(answer) == ("modify", "bad-request")
    if "id='i'" in iq:
        assert answer.get("id") == "i"
    assert stage.settle() == {}


@conforms("RFC 6120", "8.2.3", "an answer that nobody waits for is not answered")
@conforms("RFC 6120", "8.3.1", "an error is never answered by an error")
@pytest.mark.parametrize("to", [DOMAIN, "account", f"nobody@{DOMAIN}", f"nobody@{DOMAIN}/x", "gone", "nowhere.invalid"])
@pytest.mark.parametrize("stanza", ["<iq type='result' id='i' TO/>", f"<iq type='error' id='i' TO>{PING}{REFUSED}</iq>",
                                    f"<message type='error' id='i' TO>{REFUSED}</message>",
                                    f"<presence type='error' id='i' TO>{REFUSED}</presence>"])
def test_errors_and_results_are_not_answered(stage, cast, stanza, to):
    romeo, juliet = cast
    address = {"account": romeo.bare, "gone": f"{juliet.bare}/gone"}.get(to, to)
    romeo.send(stanza.replace("TO", f"to='{address}'"))
    assert stage.settle() == {}


@conforms("RFC 6120", "8.3.1", "an error goes back to the sender, from the address that was asked, with the same kind and id")
@conforms("RFC 6120", "8.3.2", "one error element of a known type, with one condition of its namespace")
@conforms("RFC 6120", "8.3.3.19", "service-unavailable for what is not understood")
@pytest.mark.parametrize("to", [None, DOMAIN, "own", f"nobody@{DOMAIN}", "gone"])
def test_the_form_of_an_error(cast, to):
    romeo, juliet = cast
    address = {"own": romeo.bare, "gone": f"{juliet.bare}/gone"}.get(to, to)
    answer = romeo.request("set", UNKNOWN, address, id=f"e{number()}")
    assert answer.get("to") in (None, romeo.jid)
    assert answer.get("from") == (address or answer.get("from"))
    (only,) = answer.findall("{*}error")
    assert error(answer) == ("cancel", "service-unavailable")
    assert answer[-1] is only, "what was sent, if it is there, comes before the error"


@conforms("RFC 6120", "10.2", "what is for another account of ours is delivered by its rules, whoever sends it")
@conforms("RFC 6120", "10.1", "a message that follows another is not passed by it, also to the sender itself")
def test_order_to_oneself(cast):
    romeo, _ = cast
    for at in range(50):
        romeo.send_message((romeo.jid, romeo.bare)[at % 2], str(at))
    assert [body(romeo.next()) for _ in range(50)] == [str(at) for at in range(50)]


@conforms("RFC 6120", "4.9.3.24", "what is no message, presence or iq ends the stream")
@pytest.mark.parametrize("what", ["<note/>", "<message xmlns='jabber:server' to='x@example.test'/>", "<Message/>"])
def test_an_unknown_stanza(stage, what):
    romeo = stage.enter("romeo", "rambler")
    romeo.send(what)
    conditions = {child.tag.split("}")[1] for child in romeo.next()}
    stage.remove(romeo)
    assert conditions & {"unsupported-stanza-type", "invalid-namespace", "invalid-xml"}


@conforms("RFC 6120", "10.5.2", "an address of the host with a resource has nobody who would answer")
def test_to_a_resource_of_the_host(stage, cast):
    romeo, _ = cast
    place = f"{DOMAIN}/somewhere"
    assert error(romeo.request("get", PING, place)) == ("cancel", "service-unavailable")
    romeo.send_message(place, "x", id="m")
    romeo.expect("message", "error", place, id="m", error="service-unavailable")
    romeo.send_presence(to=place)
    romeo.send_presence("unavailable", place)
    romeo.nothing()
