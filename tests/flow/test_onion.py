"""Servers that know each other by onion addresses: through the proxy alone, by name, without DNS and without TLS."""

import socket
import threading

import pytest

from harness.laptop import Laptop, PlayedTor
from harness.onion import onion_name
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.process import STARTED
from harness.rawserver import DIALBACK_FEATURE, STARTTLS_FEATURE, RawServer
from harness.recipe import Recipe
from harness.socks5 import HOST_UNREACHABLE, PASSWORD as BY_PASSWORD, Socks5
from harness.stage import PASSWORD, Actor, Stage, bare, body, error, local_name, number
from harness.wait import PATIENCE_S, wait_until

DELAY = "{urn:xmpp:delay}delay"


class Recorder:
    """The only DNS server that the backends know: it answers nothing, and remembers who was asked for."""

    def __init__(self):
        self.sock, self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), []
        self.port = reserve_port()
        self.sock.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                packet = self.sock.recv(4096)
            except OSError:
                return
            labels, position = [], 12
            while packet[position]:
                labels.append(packet[position + 1:position + 1 + packet[position]].decode())
                position += 1 + packet[position]
            self.names.append(".".join(labels).lower())

    def close(self):
        self.sock.close()
        self.tcp.close()


class Tor(Stage):
    """Two laptops, set up by the commands of the recipe; clients enter by enter("juliet@" + domain)."""

    def __init__(self):
        super().__init__(None)
        self.dns, self.proxy = Recorder(), Socks5(circuits=True).start()
        self.accounts = set()
        extra = f'resolver {{ servers = "127.0.0.1:{self.dns.port}" }}\n'
        self.laptops = {}
        for letter in "ab":
            place = Place()
            laptop = Laptop(place, PlayedTor(place, self.proxy, letter), extra).set_up(PASSWORD)
            self.laptops[laptop.domain] = laptop
            self.accounts.add(f"juliet@{laptop.domain}")
        self.near, self.far = self.laptops.values()

    def account(self, name):
        if bare(name) not in self.accounts:
            self.laptops[name.split("@")[1]].backend.add_user(bare(name), PASSWORD)
            self.accounts.add(bare(name))
        return bare(name)

    def password(self, _jid):
        return PASSWORD

    def connect(self, domain):
        return self.laptops[domain].connect()

    def end(self):
        try:
            for laptop in self.laptops.values():
                if laptop.backend.running():
                    laptop.backend.stop()
        finally:
            for laptop in self.laptops.values():
                laptop.backend.kill()
                laptop.backend.log_text()
                laptop.place.remove()
            self.proxy.stop()
            self.dns.close()
            STARTED.clear()


@pytest.fixture(scope="module")
def shared():
    one = Tor()
    yield one
    one.end()


@pytest.fixture
def tor(shared):
    """Both laptops are on, and nobody is logged in."""
    for laptop in shared.laptops.values():
        if not laptop.backend.running():
            laptop.backend.start()
    shared.requests_before = len(shared.proxy.requests)
    yield shared
    for party in list(shared.parties):
        party.tcp.close()
        shared.parties.remove(party)


def someone(tor, laptop):
    return tor.enter(f"user{number()}@{laptop.domain}")


def take(actor, text):
    """The message with this body, which may have come with the actor's own presence; what is before it is passed
    over."""
    waited = actor.own_presence
    while body(got := waited.pop(0) if waited else actor.next()) != text:
        pass
    return got


def reconnect(tor):
    """The streams are gone, as if both had been idle."""
    tor.proxy.cut()


# Between two laptops

def test_the_recipe_has_five_commands():
    assert len(Recipe("tor.md").commands) == 5


@pytest.mark.release
@pytest.mark.tsan
def test_messages_both_ways(tor):
    juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
    juliet.send_message(romeo.jid, "art thou there")
    assert take(romeo, "art thou there").get("from") == juliet.jid
    romeo.send_message(juliet.jid, "I am")
    assert take(juliet, "I am").get("from") == romeo.jid


def test_subscription_and_presence(tor):
    juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
    juliet.send_presence("subscribe", romeo.bare)
    romeo.expect("presence", "subscribe", frm=juliet.bare)
    romeo.send_presence("subscribed", juliet.bare)
    while (got := juliet.next()).get("type") is not None or got.get("from") != romeo.jid:
        pass  # the subscription comes first, then romeo's presence
    romeo.send_presence("unavailable")
    juliet.expect("presence", "unavailable", frm=romeo.jid)


def test_each_domain_has_circuits_of_its_own_and_is_named_to_the_proxy(tor):
    """That of the question whether a dialback key is right, too: it comes from the other laptop."""
    reconnect(tor)
    before = len(tor.proxy.requests)
    juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
    juliet.send_message(romeo.jid, "a way of its own")
    take(romeo, "a way of its own")
    requests = tor.proxy.requests[before:]
    assert {request.name for request in requests} == {tor.near.domain, tor.far.domain}
    for request in requests:
        assert (request.kind, request.port, request.user) == ("name", 5269, request.name)
        assert BY_PASSWORD in request.offered


def test_the_log_knows_circuits(tor):
    reconnect(tor)
    juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
    juliet.send_message(romeo.jid, "who goes there")
    take(romeo, "who goes there")
    lines = tor.far.backend.log(event="s2s_open", direction="in", domain=tor.near.domain)
    assert lines and all(line["peer"].startswith("[fc00:dead:beef:4dad::") for line in lines)
    assert {line["proof"] for line in lines} == {"dialback"}


def test_streams_per_source_are_of_the_circuit(tor):
    """Who opens many on one circuit locks nobody else out."""
    port = int(tor.far.addresses["[::1]:5269"].rsplit(":", 1)[1])
    header = b"PROXY TCP6 fc00:dead:beef:4dad::ffff:1 ::1 1 5269\r\n"
    crowd = []
    try:
        for _ in range(260):  # streams-per-source is 256
            crowd.append(socket.create_connection(("::1", port)))
            crowd[-1].sendall(header)
        crowd[-1].settimeout(PATIENCE_S)
        assert crowd[-1].recv(1) == b""
        reconnect(tor)
        juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
        juliet.send_message(romeo.jid, "through the crowd")
        take(romeo, "through the crowd")
    finally:
        for sock in crowd:
            sock.close()


# When something is away

def test_a_laptop_goes_away_and_comes_back(tor):
    juliet = someone(tor, tor.near)
    name = tor.account(f"user{number()}@{tor.far.domain}")
    tor.far.backend.stop()
    for text in ("first", "second"):
        juliet.send_message(name, text)
    juliet.sync()
    line = tor.near.backend.wait_log(event="s2s_failed", domain=tor.far.domain, failure="connect_failed")
    assert line["local"] == tor.near.domain
    tor.near.backend.stop()
    tor.near.backend.start()
    tor.far.backend.start()
    romeo = tor.enter(name, priority=None)
    romeo.send("<presence/>")
    romeo.send_message(f"nobody@{tor.near.domain}", "I am back")  # which tells them
    assert take(romeo, "first").find(DELAY) is not None
    take(romeo, "second")


def test_the_proxy_goes_away_and_comes_back(tor):
    juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
    tor.proxy.stop()
    try:
        juliet.send_message(romeo.bare, "without a proxy")
        line = tor.near.backend.wait_log(event="s2s_failed", failure="proxy_failed")
        assert line["domain"] == tor.far.domain and "s2s-proxy" in line["advice"]
    finally:
        tor.proxy.start()
    take(romeo, "without a proxy")


def test_a_proxy_that_answers_byte_by_byte(tor):
    reconnect(tor)
    juliet, romeo = someone(tor, tor.near), someone(tor, tor.far)
    tor.proxy.slow(tor.far.domain)
    try:
        juliet.send_message(romeo.jid, "slowly")
        take(romeo, "slowly")
    finally:
        tor.proxy.obey(tor.far.domain)


def test_nobody_behind_an_address(tor):
    """Who has never been there: the proxy cannot tell whether it will be."""
    juliet, stranger = someone(tor, tor.near), onion_name("z")
    tor.proxy.refuse(stranger, HOST_UNREACHABLE)
    juliet.send_message(f"romeo@{stranger}", "is anybody there")
    id = juliet.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", stranger)
    while (got := juliet.next()).get("id") != id:
        pass
    assert error(got) == ("wait", "remote-server-timeout") and tor.proxy.asked(stranger)
    assert not [line for line in tor.near.backend.log(event="s2s_failed", domain=stranger)
                if line["failure"] != "connect_failed"]


def test_a_check_goes_through_the_proxy_too(tor):
    before = len(tor.proxy.asked(tor.far.domain))
    told = tor.near.backend.ctl("s2s", "check", tor.far.domain)
    assert "dialback" in told and len(tor.proxy.asked(tor.far.domain)) > before


def test_no_name_was_asked_for_in_dns(tor):
    """By all of the above."""
    assert tor.dns.names == []
    assert tor.proxy.requests and all(request.kind == "name" for request in tor.proxy.requests)


# A server with an ordinary domain and an onion address

ONION, FRIEND, OPEN, SHY, MAPPED, JOINT = onion_name("m"), onion_name("f"), "open.test", "shy.test", "friend.test", "joint.test"
HOME = """
s2s = true
s2s-ca = "{ca}"
s2s-proxy = "127.0.0.1:{proxy}"
s2s-connect-timeout = 4s
resolver {{ servers = "127.0.0.1:{dns}" }}
listener "clients" {{ address = "127.0.0.1:{c2s}" tls = none allow-plain = true }}
listener "tor" {{ address = "127.0.0.1:{tor}" serve = servers tls = none }}
host "{onion}" {{ }}
host "{open}" {{ certificate = "{cert}" key = "{key}" }}
host "{shy}" {{ certificate = "{cert}" key = "{key}" s2s-proxy-for = all }}
remote "{mapped}" {{ onion = "{friend}" }}
remote "{joint}" {{ address = "127.0.0.1:{direct}" secure-auth = false }}
listener "servers" {{ address = "127.0.0.1:{s2s}" serve = servers }}
"""


class Home(Stage):
    """The test is everybody else, behind the proxy."""

    def __init__(self):
        super().__init__(None)
        self.place, self.dns, self.proxy = Place(), Recorder(), Socks5().start()
        self.c2s, self.tor, self.s2s, self.direct = (reserve_port() for _ in range(4))
        self.files = cert, key = self.place.certificate("site", [OPEN, SHY, "wide.test", JOINT])
        self.backend = Backend(self.place, HOME.format(
            ca=cert, proxy=self.proxy.port, dns=self.dns.port, c2s=self.c2s, tor=self.tor, onion=ONION,
            open=OPEN, shy=SHY, cert=cert, key=key, mapped=MAPPED, friend=FRIEND, joint=JOINT, direct=self.direct, s2s=self.s2s))
        self.backend.start()
        for domain in (ONION, OPEN, SHY):
            self.backend.add_user(f"juliet@{domain}", PASSWORD)

    def account(self, name):
        return bare(name)

    def password(self, _jid):
        return PASSWORD

    def connect(self, _domain):
        return Actor("127.0.0.1", self.c2s)

    def server(self, domain, name=None, **arguments):
        """Another server, to which the proxy leads by that name (its domain, unless it is said)."""
        server = RawServer(domain, **arguments)
        self.proxy.ways[name or domain] = (server.address, server.port)
        return server

    def end(self):
        try:
            self.backend.stop()
        finally:
            self.backend.kill()
            self.backend.log_text()
            self.proxy.stop()
            self.dns.close()
            self.place.remove()
            STARTED.clear()


@pytest.fixture(scope="module")
def home():
    one = Home()
    yield one
    one.end()


@pytest.fixture
def juliet(home):
    """Logs in to the domain that is asked for."""
    yield lambda domain: home.enter(f"juliet@{domain}")
    for party in list(home.parties):
        party.tcp.close()
        home.parties.remove(party)


class Tempting(RawServer):
    """It offers TLS beside dialback, and would have a certificate."""

    def _features(self, link):
        yield STARTTLS_FEATURE.replace("<required/>", "")
        yield DIALBACK_FEATURE


@pytest.mark.parametrize("kind", [RawServer, Tempting])
def test_no_tls_is_begun_towards_an_onion_address(home, juliet, kind):
    domain = onion_name(kind.__name__)
    server = kind(domain, proofs=("dialback",), files=None if kind is RawServer else home.files)
    home.proxy.ways[domain] = (server.address, server.port)
    with server:
        client = juliet(ONION)
        client.send_message(f"romeo@{domain}", "in clear within Tor")
        link = server.accept()
        link.expect("message", body="in clear within Tor", frm=client.jid)
        assert link.wire.tls is None and link.remote == ONION


def test_no_tls_is_offered_to_who_comes_by_tor_and_dialback_goes_back_by_tor(home, juliet):
    romeo = onion_name("c")
    with home.server(romeo, proofs=("dialback",)) as server:
        client = juliet(ONION)
        link = server.connect("127.0.0.1", home.tor, ONION, tls=None)
        assert link.offers("dialback") and not link.offers("starttls") and not link.offers("mechanisms")
        asked = len(home.proxy.asked(romeo))
        link.dialback()
        request, = home.proxy.asked(romeo)[asked:]
        assert (request.kind, request.port, request.user) == ("name", 5269, romeo)
        link.send_message(client.jid, "by Tor alone")
        take(client, "by Tor alone")


def test_a_key_that_the_onion_service_does_not_know_proves_nothing(home):
    with home.server(onion_name("g"), proofs=("dialback",)) as server:
        link = server.connect("127.0.0.1", home.tor, ONION, tls=None)
        assert link.try_dialback(key="0" * 64) == "invalid"


def test_a_domain_that_is_mapped_to_an_onion_address(home, juliet):
    with home.server(MAPPED, FRIEND, proofs=("dialback",)) as server:
        client = juliet(OPEN)
        client.send_message(f"romeo@{MAPPED}", "at your other door")
        link = server.accept()
        link.expect("message", body="at your other door")
        assert (link.local, link.wire.tls) == (MAPPED, None)
        back = server.connect("127.0.0.1", home.tor, OPEN, tls=None)
        back.dialback()  # the question goes to the onion address, too
        back.send_message(client.jid, "well met")
        take(client, "well met")
    assert {request.kind for request in home.proxy.asked(FRIEND)} == {"name"}
    assert not home.proxy.asked(MAPPED) and not [name for name in home.dns.names if MAPPED in name]


def test_an_ordinary_domain_cannot_come_without_tls_by_the_listener_for_tor(home):
    """Not even if it could answer the question about its key."""
    with home.server("liar.test", proofs=("dialback",)) as server:
        link = server.connect("127.0.0.1", home.tor, OPEN, tls=None)
        answer = link.command(f"<db:result from='liar.test' to='{OPEN}'>{'0' * 64}</db:result>")
        assert (local_name(answer), answer.get("type"), error(answer)[1]) == ("result", "error", "policy-violation")
        assert not home.proxy.asked("liar.test") and not [name for name in home.dns.names if "liar.test" in name]


def test_each_way_has_streams_of_its_own(home, juliet):
    """What goes through the proxy does not join a stream that went without, nor an onion service one of another host:
    the other server would know where it is."""
    home.proxy.ways["127.0.0.1"] = ("127.0.0.1", home.direct)
    with RawServer(JOINT, port=home.direct, files=home.files, proofs=("dialback",)) as server:
        for domain, asked in ((OPEN, 0), (SHY, 1), (ONION, 2)):
            juliet(domain).send_message(f"romeo@{JOINT}", f"from {domain}")
            link = server.accept()
            link.expect("message", body=f"from {domain}")
            assert (link.remote, len(home.proxy.asked("127.0.0.1"))) == (domain, asked)


def test_nobody_finds_out_where_an_onion_service_is(home, juliet):
    """It is as unknown as one that is not here, where it is not asked for through Tor."""
    juliet(ONION)
    with RawServer(JOINT, port=home.direct, files=home.files) as server:
        link = server.connect("127.0.0.1", home.s2s, OPEN)
        for domain in (ONION, onion_name("n")):
            answer = link.command(f"<db:verify from='{JOINT}' to='{domain}' id='x'>no key</db:verify>")
            assert (answer.get("type"), error(answer)[1]) == ("error", "item-not-found")
        for domain in (ONION, onion_name("n")):
            link = server.connect("127.0.0.1", home.s2s, OPEN)
            link.external()
            link.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", domain)
            assert link.stream_error()[0] == "host-unknown"


def test_proxy_for_all(home, juliet):
    """An ordinary domain through the proxy: its name is not looked up, and TLS is required."""
    with home.server("wide.test", proofs=("external",), files=home.files) as server:
        client = juliet(SHY)
        client.send_message("romeo@wide.test", "through the proxy")
        link = server.accept()
        link.expect("message", body="through the proxy")
        assert link.wire.tls is not None
    assert [(one.kind, one.port) for one in home.proxy.asked("wide.test")] == [("name", 5269)]
    assert not [name for name in home.dns.names if "wide.test" in name]


def test_proxy_for_onion_addresses_only(home, juliet):
    """Also: the recorder of DNS questions does record."""
    client = juliet(OPEN)
    client.send_message("romeo@direct.test", "by DNS")
    wait_until(lambda: "_xmpp-server._tcp.direct.test" in home.dns.names, lambda: f"it is looked up: {home.dns.names}")
    assert not home.proxy.asked("direct.test")


def test_a_proxy_that_does_not_answer(home, juliet):
    silent = onion_name("h")
    home.proxy.hang(silent)
    client = juliet(ONION)
    client.send_message(f"romeo@{silent}", "kept")
    id = client.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", silent)
    while (got := client.next()).get("id") != id:
        pass
    assert error(got) == ("wait", "remote-server-timeout")
    home.backend.wait_log(event="s2s_failed", domain=silent)
