"""RFC 6121 section 8.5: where a stanza goes, for every kind and type of stanza, address and circumstance of the account
that it is for.  The tables are those of the RFC, in section 8.5.4 for messages and in its words for the rest."""

import pytest

from harness.component import Component
from harness.ports import reserve_port
from harness.site import DOMAIN
from harness.stage import Stage, body, brief, briefs, element, error, number

COMPONENT, SECRET = "strangers.example.test", "a-shared-secret"
COMPONENT_PORT = reserve_port()
BACKEND_EXTRA = f"""
listener "components" {{ address = "127.0.0.1:{COMPONENT_PORT}" serve = components }}
component "{COMPONENT}" {{ secret = "{SECRET}" }}
"""

# The circumstances: the account's resources and their priorities, None when bound without presence.
CIRCUMSTANCES = {
    "no account": None,
    "no resources": {},
    "connected only": {"match": None},
    "one negative": {"match": -1},
    "several negative": {"match": -5, "other": -1},
    "one": {"match": 0},
    "one and a negative": {"match": 3, "cellar": -1},
    "several": {"match": 5, "second": 5, "lower": 1, "cellar": -1, "bound": None},
}

# Section 8.5.4, a row for each address: O kept for later, E an error, D to the resource asked for (or the only one), M the
# most available resources, A all that are not negative.  Where the RFC leaves it open whether nobody gets it silently or
# there is an error (its S): E for what somebody may miss, - for silence; the same whether there is such an account or not.
TYPES = ("normal", "chat", "groupchat", "headline")
MESSAGES = {
    "no account": {"bare": "--E-", "no match": "E-E-"},
    "no resources": {"bare": "OOE-", "no match": "EOE-"},
    "connected only": {"bare": "OOE-", "match": "DDDD", "no match": "EOE-"},
    "one negative": {"bare": "OOE-", "match": "DDDD", "no match": "EOE-"},
    "several negative": {"bare": "OOE-", "match": "DDDD", "no match": "EOE-"},
    "one": {"bare": "DDED", "match": "DDDD", "no match": "EDE-"},
    "one and a negative": {"bare": "DDED", "match": "DDDD", "no match": "EDE-"},
    "several": {"bare": "MMEA", "match": "DDDD", "no match": "EME-"},
}

SECTION = {  # (are resources there, address) -> of 8.5, before the number of the kind
    (False, "bare"): "8.5.2.2", (True, "bare"): "8.5.2.1", (True, "match"): "8.5.3.1", (True, "no match"): "8.5.3.2",
    (False, "no match"): "8.5.3.2",
}


def section(circumstance, address, kind):
    if circumstance == "no account":
        return "8.5.1"
    number = SECTION[bool(CIRCUMSTANCES[circumstance]), address]
    return number if number == "8.5.3.1" else f"{number}.{('message', 'presence', 'iq').index(kind) + 1}"


def addresses(circumstance):
    return MESSAGES[circumstance]


class Account:
    """An account in one circumstance."""

    def __init__(self, stage, circumstance):
        self.stage = stage
        resources = CIRCUMSTANCES[circumstance]
        self.bare = f"nobody{number()}@{DOMAIN}" if resources is None else stage.account()
        self.priorities = resources or {}
        self.actors = {name: stage.enter(self.bare, name, priority) for name, priority in self.priorities.items()}

    def address(self, which):
        return {"bare": self.bare, "match": f"{self.bare}/match", "no match": f"{self.bare}/elsewhere"}[which]

    def not_negative(self):
        return {name for name, priority in self.priorities.items() if priority is not None and priority >= 0}

    def most_available(self):
        best = max(self.priorities[name] for name in self.not_negative())
        return {name for name in self.not_negative() if self.priorities[name] == best}

    def available(self):
        return {name for name, priority in self.priorities.items() if priority is not None}


class World:
    """An account in each circumstance, and two strangers: a client and a component."""

    def __init__(self, stage):
        self.stage = stage
        self.client = stage.enter("stranger", "far")
        self.component = stage.add(Component(COMPONENT_PORT, COMPONENT, SECRET))
        self.accounts = {name: Account(stage, name) for name in CIRCUMSTANCES}
        stage.settle()

    def answered(self, account, sender):
        """What came up to the answer of the account's server to a request behind all that the sender sent there."""
        id, came = sender.send_iq("get", "<query xmlns='urn:example:nobody-knows'/>", account.bare), []
        while (got := sender.next()).get("id") != id:
            came.append(got)
        return came

    def effects(self, account, sender):
        """(resources of the account that got something: [what], what the sender got)."""
        sender.elements[:0] = self.answered(account, sender)
        came = self.stage.settle(sender, *account.actors.values())
        return {name: came[actor] for name, actor in account.actors.items() if actor in came}, came.get(sender, [])


@pytest.fixture(scope="module")
def world(backend_site):
    with Stage(backend_site) as stage:
        yield World(stage)


def rows(kind, types):
    for circumstance in CIRCUMSTANCES:
        for address in addresses(circumstance):
            for type in types:
                what = f"{kind} to {address} address" + ("" if address == "bare" else " of the resource")
                marks = [pytest.mark.conforms("RFC 6121", section(circumstance, address, kind),
                                              f"{kind} of each type, each circumstance of the account")]
                if kind == "message" and type in TYPES:
                    marks.append(pytest.mark.conforms("RFC 6121", "8.5.4", "every cell of the table"))
                yield pytest.param(circumstance, address, type, marks=marks, id=f"{type} to {address}, {circumstance}")


def kept(world, account):
    """What waits for the account, as a new resource of it is given it; it is gone afterwards."""
    actor = world.stage.enter(account.bare, f"later{number()}")
    waiting = actor.kept()
    world.stage.remove(actor)
    for name in account.available():  # they see it come and go
        account.actors[name].expect("presence", "available", actor.jid)
        account.actors[name].expect("presence", "unavailable", actor.jid)
    return waiting


@pytest.mark.parametrize("circumstance, address, type", rows("message", TYPES))
def test_a_message(world, circumstance, address, type):
    account, text = world.accounts[circumstance], f"message {number()}"
    rule = MESSAGES[circumstance][address][TYPES.index(type)]
    id = f"id{number()}"
    world.client.send_message(account.address(address), text, type, id=id)
    got, answers = world.effects(account, world.client)

    wanted = {"D": {"match"}, "M": rule == "M" and account.most_available(),
              "A": rule == "A" and account.not_negative()}.get(rule, set())
    assert set(got) == wanted
    for stanzas in got.values():
        assert briefs(stanzas) == [f"message {type} from={world.client.jid} «{text}»"]
        assert stanzas[0].get("to") == account.address(address)
    bounced = [(stanza.get("from"), stanza.get("id"), error(stanza)) for stanza in answers]
    refusal = [(account.address(address), id, ("cancel", "service-unavailable"))]
    assert bounced == (refusal if rule == "E" else [])
    if rule in "-EO" and circumstance != "no account":
        waiting = kept(world, account)
        assert [body(stanza) for stanza in waiting] == ([text] if rule == "O" else [])


@pytest.mark.parametrize("circumstance, address, type", rows("message", ["error"]))
def test_an_error_message_is_never_answered_nor_kept(world, circumstance, address, type):
    """Section 8.5.2.1.1 and others: silently ignored, but for a resource that is there."""
    account = world.accounts[circumstance]
    refused = ("<error type='cancel'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    world.client.send_message(account.address(address), type="error", extra=refused, id="e")
    got, answers = world.effects(account, world.client)
    assert set(got) == ({"match"} if address == "match" else set())
    assert answers == []
    if circumstance == "no resources":
        assert kept(world, account) == []


@pytest.mark.parametrize("circumstance, address, type", rows("presence", ["available", "unavailable"]))
def test_a_presence(world, circumstance, address, type):
    account = world.accounts[circumstance]
    world.client.send_presence(None if type == "available" else type, account.address(address))
    got, answers = world.effects(account, world.client)
    wanted = {"bare": account.available(), "match": {"match"}, "no match": set()}[address]
    assert set(got) == wanted and answers == []
    for stanzas in got.values():
        assert briefs(stanzas) == [f"presence {type} from={world.client.jid}"]
    if type == "available":  # let us be forgotten
        world.client.send_presence("unavailable", account.address(address))
        world.effects(account, world.client)


@pytest.mark.parametrize("circumstance, address, type",
                         rows("presence", ["subscribe", "subscribed", "unsubscribe", "unsubscribed"]))
def test_a_subscription_stanza(world, circumstance, address, type):
    """From a contact without any state: a request is for the available resources, whichever address it had, and all
    others are ignored."""
    account, contact = world.accounts[circumstance], world.component.contact()
    world.component.send_presence(type, account.address(address), from_=contact)
    got, answers = world.effects(account, world.component)
    assert set(got) == (account.available() if type == "subscribe" else set())
    for stanzas in got.values():
        assert briefs(stanzas) == [f"presence subscribe from={contact}"]
    assert answers == []
    if type == "subscribe" and circumstance != "no account":
        world.component.send_presence("unsubscribe", account.bare, from_=contact)
        world.effects(account, world.component)


@pytest.mark.parametrize("circumstance, address, type", rows("presence", ["probe"]))
def test_a_probe_of_a_stranger(world, circumstance, address, type):
    """Section 4.3.2: nothing is told, and the same whether there is such an account or such a resource or not."""
    account, contact = world.accounts[circumstance], world.component.contact()
    world.component.send_presence("probe", account.address(address), from_=contact)
    got, answers = world.effects(account, world.component)
    assert got == {}
    assert [(brief(stanza), stanza.get("to")) for stanza in answers] == [
        (f"presence unsubscribed from={account.bare}", contact)]


@pytest.mark.parametrize("circumstance, address, type", rows("iq", ["get", "set"]))
def test_an_iq_request(world, circumstance, address, type):
    """For the account the server answers; nobody of the account's resources sees it.  A resource sees those of whom it
    may be seen: section 8.5.3.1."""
    account = world.accounts[circumstance]
    if address == "match":
        account.actors["match"].send_presence(to=world.client.jid)
        world.client.expect("presence", "available")
    id = world.client.send_iq(type, "<query xmlns='urn:example:nobody-knows'/>", account.address(address))
    got, answers = world.effects(account, world.client)
    if address == "match":
        assert set(got) == {"match"} and answers == []
        assert briefs(got["match"]) == [f"iq {type} from={world.client.jid} id={id}"]
        account.actors["match"].send_presence("unavailable", to=world.client.jid)
        world.client.expect("presence", "unavailable")
        return
    assert got == {}
    assert [(stanza.get("from"), stanza.get("id"), error(stanza)) for stanza in answers] == [
        (account.address(address), id, ("cancel", "service-unavailable"))]


@pytest.mark.parametrize("circumstance, address, type", rows("iq", ["result", "error"]))
def test_an_iq_answer_that_nobody_asked_for(world, circumstance, address, type):
    account = world.accounts[circumstance]
    inner = ("" if type == "result" else "<error type='cancel'>"
             "<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    world.client.send_iq(type, inner, account.address(address))
    got, answers = world.effects(account, world.client)
    assert set(got) == ({"match"} if address == "match" else set()) and answers == []


STRANGE = {
    **{f"message {type}": ("message", {"type": type, "id": "x"}, "<body>x</body>") for type in (*TYPES, "error")},
    **{f"presence {type}": ("presence", {"type": type, "id": "x"}, "") for type in (
        None, "unavailable", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error")},
    **{f"iq {type} {namespace}": ("iq", {"type": type, "id": "x"}, f"<query xmlns='{namespace}'/>")
       for type in ("get", "set") for namespace in (
           "jabber:iq:roster", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items",
           "jabber:iq:last", "jabber:iq:version", "jabber:iq:private", "jabber:iq:privacy", "urn:example:unknown")},
    "iq get ping": ("iq", {"type": "get", "id": "x"}, "<ping xmlns='urn:xmpp:ping'/>"),
    "iq get time": ("iq", {"type": "get", "id": "x"}, "<time xmlns='urn:xmpp:time'/>"),
}


@pytest.mark.conforms("RFC 6120", "13.11", "a stranger gets the same answers for an account without resources and none")
@pytest.mark.conforms("RFC 6120", "10.5.3.1", "no such user: as for one who is not there")
@pytest.mark.parametrize("address", ["bare", "no match"])
@pytest.mark.parametrize("which", STRANGE)
def test_a_stranger_does_not_learn_who_exists(world, which, address):
    name, attributes, inner = STRANGE[which]
    seen = []
    for circumstance in ("no account", "no resources"):
        account = world.accounts[circumstance]
        contact = world.component.contact()
        world.component.send(element(name, {**attributes, "from": contact, "to": account.address(address)}, inner))
        got, answers = world.effects(account, world.component)
        assert got == {}
        seen.append([brief(stanza).replace(account.bare, "BARE") for stanza in answers])
        world.component.send(element("presence", {"from": contact, "to": account.bare, "type": "unsubscribe"}))
        world.effects(account, world.component)
    kept(world, world.accounts["no resources"])
    assert seen[0] == seen[1]


def test_nothing_went_astray(world):
    """Those whom no test above was about have got nothing of it."""
    assert world.stage.settle() == {}
