"""Several clients in one test, each of which does every step itself, and the proof that nothing more came.

    with Stage(site) as stage:
        juliet, romeo = stage.enter("juliet", "balcony"), stage.enter("romeo", "orchard")
        romeo.send_message(juliet.jid, "but soft")
        juliet.expect("message", frm=romeo.jid, body="but soft")
        assert stage.settle() == {}

Everybody who enters is logged in, and available unless priority is None.  Accounts are made when they are first asked
for; their password is PASSWORD."""

import itertools
import xml.etree.ElementTree as ElementTree

from harness.rawxmpp import RawClient
from harness.site import DOMAIN, PASSWORDS
from harness.wait import PATIENCE_S

PASSWORD = "a-password-for-every-part"
CLIENT = "{jabber:client}"
ROSTER = "{jabber:iq:roster}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
MARK = "settled-"

_numbers = itertools.count(1)


def number():
    """A number that nobody has had: for ids, and for accounts that nobody has used."""
    return next(_numbers)


def bare(jid):
    return jid.split("/")[0]


def local_name(element):
    return element.tag.split("}")[-1]


def body(element):
    return element.findtext("{*}body")


def error(element):
    """(type, condition) of a stanza's error, None when it has none."""
    found = element.find("{*}error")
    if found is None:
        return None
    conditions = [local_name(child) for child in found if child.tag.startswith(STANZAS) and local_name(child) != "text"]
    assert len(conditions) == 1, ElementTree.tostring(element)
    return found.get("type"), conditions[0]


def push_item(element):
    """The item of a roster push, as a dict with its groups; None for anything else."""
    query = element.find(ROSTER + "query")
    if local_name(element) != "iq" or element.get("type") != "set" or query is None:
        return None
    assert len(query) == 1, "a push has one item: " + ElementTree.tostring(element, "unicode")
    return {**query[0].attrib, "groups": sorted(group.text for group in query[0])}


def brief(element):
    """A stanza in a few words, for comparing what came with what should have: "presence subscribe from=…",
    "push jid=… none ask", "message chat from=… «body»", "iq result id=…"; errors as "error=condition"."""
    item = push_item(element)
    if item:
        extra = [word for word in ("ask", "approved") if word in item]
        return " ".join(["push", item["jid"], item.get("subscription", "-"), *extra])
    kind = local_name(element)
    words = [kind, element.get("type") or {"presence": "available", "message": "normal"}.get(kind, "-")]
    words.append(f"from={element.get('from')}")
    if kind == "iq":
        words.append(f"id={element.get('id')}")
    if error(element):
        words.append(f"error={error(element)[1]}")
    elif body(element):
        words.append(f"«{body(element)}»")
    return " ".join(words)


def briefs(elements):
    return sorted(map(brief, elements))


class Party:
    """What a client and a component have in common: stanzas sent, and stanzas expected.  Mixed into a RawClient that
    has a jid."""

    def send_message(self, to, text="", type="chat", extra="", **attributes):
        self.send(element("message", {"to": to, "type": type, **attributes}, text and f"<body>{text}</body>", extra))

    def send_presence(self, type=None, to=None, inner="", **attributes):
        self.send(element("presence", {"to": to, "type": type, **attributes}, inner))

    def send_iq(self, type, payload, to=None, id=None, **attributes):
        """Returns the id."""
        id = id or f"iq{number()}"
        self.send(element("iq", {"to": to, "type": type, "id": id, **attributes}, payload))
        return id

    def request(self, type, payload, to=None, **attributes):
        """The answer to an iq; what else comes meanwhile stays to be expected."""
        id, passed = self.send_iq(type, payload, to, **attributes), []
        while True:
            got = self.next()
            if local_name(got) == "iq" and got.get("id") == id and got.get("type") in ("result", "error"):
                self.elements[:0] = passed
                return got
            passed.append(got)

    def expect(self, kind=None, type=None, frm=None, to=None, **wanted):
        """The next stanza, which must be this: kind ("message", "presence", "iq", "push"); type ("available" for a
        presence without one); body, id or error (the condition) among wanted; what is None may be anything."""
        got = self.next(PATIENCE_S)
        seen = {"kind": "push" if push_item(got) else local_name(got), "frm": got.get("from"), "to": got.get("to"),
                "type": got.get("type") or ("available" if local_name(got) == "presence" else None),
                "body": body(got), "id": got.get("id"), "error": error(got) and error(got)[1]}
        wanted = {"kind": kind, "type": type, "frm": frm, "to": to, **wanted}
        differs = {name: (seen.get(name), value) for name, value in wanted.items()
                   if value is not None and seen.get(name) != value}
        assert not differs, f"{self.jid} got {ElementTree.tostring(got, 'unicode')}: (got, wanted) {differs}"
        return got

    def sync(self):
        """All that came up to the answer to a ping to our own account: what the account and its server do for us
        is done."""
        id, passed = self.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", self.sync_address), []
        while True:
            got = self.next()
            if local_name(got) == "iq" and got.get("id") == id:
                return passed
            passed.append(got)

    def nothing(self):
        """Nothing has come that was not expected, up to the answer to a ping."""
        came = briefs(self.sync())
        assert came == [], f"{self.jid} got what nobody expected: {came}"


def element(name, attributes, *content):
    text = "".join(f" {key.rstrip('_')}='{value}'" for key, value in attributes.items() if value is not None)
    inner = "".join(content)
    return f"<{name}{text}>{inner}</{name}>" if inner else f"<{name}{text}/>"


class Actor(Party, RawClient):
    """A client that is logged in."""

    @property
    def sync_address(self):
        """Who answers a ping when all that we asked for before is done."""
        return bare(self.jid)

    @property
    def bare(self):
        return bare(self.jid)

    def available(self, priority=0, inner=""):
        """Presence, of which the server has taken note on return; what came meanwhile stays to be expected."""
        self.send_presence(inner=(f"<priority>{priority}</priority>" if priority else "") + inner)
        self.elements[:0] = self.sync()
        return self

    def drain(self):
        """All that has come and has waited for this resource, up to a message that it writes to itself,
        which is not archived."""
        mark, came = f"{MARK}{number()}", []
        self.send_message(self.jid, mark, extra="<no-permanent-store xmlns='urn:xmpp:hints'/>")
        while body(got := self.next()) != mark:
            came.append(got)
        return came

    def kept(self):
        """The messages with a body that have waited for this resource."""
        return [stanza for stanza in self.own_presence + self.drain() if body(stanza)]

    def roster(self, version=None):
        """{bare JID: {attribute: value, "groups": […]}}; from here on this resource gets pushes."""
        query = "<query xmlns='jabber:iq:roster'" + ("/>" if version is None else f" ver='{version}'/>")
        answer = self.request("get", query)
        assert answer.get("type") == "result", ElementTree.tostring(answer, "unicode")
        found = answer.find(ROSTER + "query")
        self.version = None if found is None else found.get("ver")
        return {item.get("jid"): {**item.attrib, "groups": sorted(group.text for group in item)}
                for item in (() if found is None else found)}

    def roster_set(self, jid, name=None, groups=(), **attributes):
        """The answer."""
        inner = "".join(f"<group>{group}</group>" for group in groups)
        item = element("item", {"jid": jid, "name": name, **attributes}, inner)
        return self.request("set", f"<query xmlns='jabber:iq:roster'>{item}</query>")

    def leave(self):
        """End the stream in order; the server has ended it as well on return."""
        self.send("</stream:stream>")
        self.receive_all()
        self.tcp.close()


class Stage:
    def __init__(self, site):
        self.site, self.parties = site, []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for party in self.parties:
            party.tcp.close()

    def account(self, name=None):
        """The bare JID of an account, which is made if there is none; without a name one that nobody has used."""
        name = name.split("@")[0] if name else f"user{number()}"
        self.site.add_account(name, self.password(name))
        return f"{name}@{DOMAIN}"

    def password(self, jid):
        return PASSWORDS.get(jid.split("@")[0], PASSWORD)

    def connect(self, domain=DOMAIN):
        """A connection with TLS, before anything of XMPP."""
        return Actor("127.0.0.1", self.site.c2s_direct).start_tls(sni=domain)

    def enter(self, name=None, resource=None, priority=0, interested=False):
        """Somebody who has logged in; interested: has asked for the roster; available unless priority is None."""
        jid = self.account(name and bare(name))
        local, domain = jid.split("@")
        actor = self.connect(domain)
        actor.login(local, self.password(jid), domain, mechanism="PLAIN", resource=resource)
        actor.own_presence = []
        if interested:
            actor.roster()
        if priority is not None:
            actor.available(priority)
            actor.own_presence = actor.drain()  # that of all resources, and what has waited
        self.parties.append(actor)
        return actor

    def add(self, party):
        """Have a component take part in settle()."""
        self.parties.append(party)
        return party

    def remove(self, party):
        self.parties.remove(party)
        party.leave()

    def reset(self, *kept):
        """Only these are there, available, and with nothing of what was before."""
        for party in [party for party in self.parties if party not in kept]:
            self.remove(party)
        for type in ("unavailable", None):
            for party in kept:
                if isinstance(party, Actor):
                    party.send_presence(type)
            self.settle()

    def settle(self, *parties, rounds=2):
        """Wait until what was sent has had all its effects on these parties (all, if none are named);
        {party: [stanza …]} with all that came and was not expected yet, only those who got something.

        Everybody asks its own account (so its own stanzas are done with), then writes to everybody; a way from one
        to another keeps order, so what was on it before is there.  The second round is for what the servers of the
        first one's addressees answered on their behalf."""
        parties = parties or self.parties
        came = {party: [] for party in parties}
        for _ in range(rounds):
            for party in parties:
                came[party] += party.sync()
            mark = f"{MARK}{number()}"
            for sender, receiver in itertools.permutations(parties, 2):
                sender.send_message(receiver.jid, mark, type="headline")
            for party in parties:
                missing = len(parties) - 1
                while missing:
                    got = party.next()
                    if body(got) == mark:
                        missing -= 1
                    else:
                        came[party].append(got)
        return {party: elements for party, elements in came.items() if elements}

    def settled(self, *parties):
        """As settle(), in brief: {full JID: [brief …]}, sorted."""
        return {party.jid: briefs(elements) for party, elements in self.settle(*parties).items()}


    def befriend(self, one, other):
        """Each is subscribed to the other's presence.  The stanzas of it are passed over."""
        for asking, asked in ((one, other), (other, one)):
            asking.send_presence("subscribe", asked.bare)
            self.settle()
            asked.send_presence("subscribed", asking.bare)
            self.settle()
