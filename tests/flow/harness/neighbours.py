"""What users of two servers may expect of each other, whichever servers these are and however they are linked.

    class TestSomething(Neighbours):
        links = {"by name": Link(ours={…}, theirs={…}, proofs={"certificate"})}
        member = ProsodyMember"""

import dataclasses

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness import process
from harness.authority import Authority
from harness.federation import Company, Federation, PosternMember
from harness.stage import body, error, number

OURS, THEIRS = "a.example", "b.example"


@dataclasses.dataclass
class Link:
    """ours, theirs: arguments of the members; both: of both; proofs: by what the two prove themselves to each other.

    strangers: their certificates are of an authority that nobody knows; public: those are for servers only, as the
    public authorities issue them."""

    both: dict = dataclasses.field(default_factory=dict)
    ours: dict = dataclasses.field(default_factory=dict)
    theirs: dict = dataclasses.field(default_factory=dict)
    proofs: tuple = ("certificate",)
    strangers: bool = False
    public: bool = False
    they_begin: bool = False


def certificate_of(federation, link, domain):
    authority = Authority(federation.place, f"strange-ca-of-{domain}") if link.strangers else federation.authority
    return authority.server(domain, **({"usages": [ExtendedKeyUsageOID.SERVER_AUTH]} if link.public else {}))


DIALBACK = Link(both={"secure": False}, proofs=("dialback",), strangers=True)
LINKS = {
    "certificates": Link(),
    "certificates, direct TLS": Link(both={"offers": ("direct",)}, they_begin=True),
    "dialback": DIALBACK,
    "dialback, direct TLS": dataclasses.replace(DIALBACK, both={"secure": False, "offers": ("direct",)}, they_begin=True),
    "IPv6": Link(both={"address": "::1"}),
    "gateway, handed off": Link(ours={"way": "handed off", "offers": ("direct",)}, they_begin=True),
    "gateway, passed on": Link(ours={"way": "passed on", "offers": ("direct",)}, they_begin=True),
    "gateway, terminated": Link(ours={"way": "terminated", "offers": ("direct",)}, they_begin=True),
    "gateway, handed off, STARTTLS": Link(ours={"way": "handed off"}, they_begin=True),
    "gateway, passed on, STARTTLS": Link(ours={"way": "passed on"}, they_begin=True),
    "gateway, terminated, dialback": dataclasses.replace(
        DIALBACK, ours={"way": "terminated", "offers": ("direct",)}, they_begin=True),
}


class Neighbours:
    """juliet is a user of ours, romeo one of theirs; both are new in each test."""

    member, links = PosternMember, LINKS

    @pytest.fixture(scope="class")
    def federation(self, request):
        link = request.param
        with Federation() as one:
            for member, domain, own in ((PosternMember, OURS, link.ours), (self.member, THEIRS, link.theirs)):
                member(one, domain, certificate=certificate_of(one, link, domain), **{**link.both, **own})
            one.link = link
            yield one.start()
        process.STARTED.clear()

    @pytest.fixture(scope="class")
    def company(self, federation):
        with Company(federation) as one:
            yield one

    @pytest.fixture
    def couple(self, company):
        juliet, romeo = company.enter(f"juliet{number()}@{OURS}"), company.enter(f"romeo{number()}@{THEIRS}")
        yield juliet, romeo
        for party in (juliet, romeo):
            company.remove(party)

    def test_messages(self, federation, couple):
        """Whoever begins; in order; the servers have proved themselves as they should."""
        one, other = reversed(couple) if federation.link.they_begin else couple
        for writer, reader in ((one, other), (other, one)):
            for count in range(20):
                writer.send_message(reader.jid, f"message {count}", extra="<thread>t</thread>")
            for count in range(20):
                got = reader.expect("message", "chat", writer.jid, reader.jid, body=f"message {count}")
                assert got.findtext("{*}thread") == "t"
        backend = federation.members[OURS].backend
        for direction in ("in", "out"):
            opened = backend.log(event="s2s_open", direction=direction, domain=THEIRS, local=OURS)
            assert {line["proof"] for line in opened} <= set(federation.link.proofs), opened
            assert all("tls" in line for line in opened)
        assert backend.log(event="s2s_open")

    def test_iqs(self, couple):
        for asking, asked in (couple, couple[::-1]):
            domain = asked.jid.split("@")[1].split("/")[0]
            info = asking.request("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", domain)
            assert info.get("from") == domain
            assert info.find(".//{http://jabber.org/protocol/disco#info}identity").get("category") == "server"
            assert asking.request("get", "<ping xmlns='urn:xmpp:ping'/>", domain).get("type") == "result"
            version = asking.request("get", "<query xmlns='jabber:iq:version'/>", domain)
            assert version.find(".//{jabber:iq:version}name").text
            card = "<vCard xmlns='vcard-temp'><FN>Somebody &amp; more \N{SNOWMAN}</FN></vCard>"
            assert asked.request("set", card).get("type") == "result"
            told = asking.request("get", "<vCard xmlns='vcard-temp'/>", asked.bare)
            assert told.findtext(".//{vcard-temp}FN") == "Somebody & more \N{SNOWMAN}"

    def test_subscriptions_and_presence(self, company, couple):
        for one in couple:
            one.roster()
        company.befriend(*couple)
        company.settle(*couple)
        for one, other in (couple, couple[::-1]):
            assert one.roster()[other.bare]["subscription"] == "both"
            other.send_presence(inner="<show>away</show>")
            shown = one.expect("presence", "available", other.jid)
            assert shown.findtext("{*}show") == "away"
            company.settle(*couple)
            id = one.send_iq("get", "<query xmlns='urn:example:question'/>", other.jid)
            other.expect("iq", "get", one.jid, other.jid, id=id)
            other.send_iq("result", "<query xmlns='urn:example:question'>42</query>", one.jid, id=id)
            assert one.expect("iq", "result", other.jid, id=id)[0].text == "42"
        juliet, romeo = couple
        for one, other in (couple, couple[::-1]):
            again = company.enter(one.bare, "again")
            assert other.jid in {stanza.get("from") for stanza in again.own_presence + company.settle(again, other).get(
                again, [])}, "the contact's presence comes at login"
            company.remove(again)
        company.settle(*couple)
        juliet.send_presence("unsubscribe", romeo.bare)
        juliet.send_presence("unsubscribed", romeo.bare)
        company.settle(*couple)
        assert romeo.roster().get(juliet.bare, {"subscription": "none"})["subscription"] == "none"
        assert juliet.roster()[romeo.bare]["subscription"] == "none"
        romeo.send_presence(inner="<show>dnd</show>")
        assert not [stanza for stanza in company.settle(*couple).get(juliet, []) if stanza.get("from") == romeo.jid]

    def test_refused_subscription(self, company, couple):
        for asking, asked in (couple, couple[::-1]):
            asking.roster()
            asking.send_presence("subscribe", asked.bare)
            assert company.settle(*couple)
            asked.send_presence("unsubscribed", asking.bare)
            company.settle(*couple)
            assert asking.roster()[asked.bare]["subscription"] == "none"
            assert "ask" not in asking.roster()[asked.bare]

    def test_unknown_users(self, couple):
        for asking, asked in (couple, couple[::-1]):
            nobody = f"nobody{number()}@{asked.jid.split('@')[1].split('/')[0]}"
            answer = asking.request("get", "<query xmlns='urn:example:question'/>", f"{nobody}/balcony")
            assert error(answer) == ("cancel", "service-unavailable")
            asking.send_message(nobody, "is anybody there?")
            asking.request("get", "<ping xmlns='urn:xmpp:ping'/>", nobody.split("@")[1])
            for answer in asking.elements:  # which need not come, RFC 6121 section 8.5.1
                assert (answer.get("from"), *error(answer)) == (nobody, "cancel", "service-unavailable")
            asking.elements.clear()

    def test_who_goes_offline_is_seen_to_go(self, company, couple):
        company.befriend(*couple)
        company.settle(*couple)
        for one, other in (couple, couple[::-1]):
            second = company.enter(one.bare, "second")
            company.settle()
            company.remove(second)
            other.expect("presence", "unavailable", second.jid)
            company.settle()

    def test_a_long_message(self, couple):
        """Larger than any buffer on the way."""
        for writer, reader in (couple, couple[::-1]):
            text = "all the world's a stage " * 4000
            writer.send_message(reader.jid, text)
            assert body(reader.next()) == text


def linked(**links):
    """The parameters of a class of Neighbours."""
    return pytest.mark.parametrize("federation", list(links.values()), ids=list(links), indirect=True, scope="class")
