"""Servers that know each other by onion addresses: through the proxy alone, by name, without DNS and without TLS."""

import socket
import threading

import pytest

from harness.laptop import Laptop, PlayedTor
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.process import STARTED
from harness.rawserver import DIALBACK_FEATURE, RawServer
from harness.rawxmpp import TLS
from harness.recipe import Recipe
from harness.socks5 import HOST_UNREACHABLE, PASSWORD as BY_PASSWORD, Socks5
from harness.stage import PASSWORD, Actor, Stage, bare, body, element, error, number
from harness.wait import wait_until

DELAY = "{urn:xmpp:delay}delay"


class Recorder:
    """The only DNS server that the backends know: it answers nothing, and remembers who was asked for."""

    def __init__(self):
        self.sock, self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), []
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
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
    """The message with this body; what comes before it is passed over."""
    while body(got := actor.next()) != text:
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
        crowd[-1].settimeout(30)
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
    line = tor.near.backend.wait_log(event="s2s_failed", domain=tor.far.domain, failure="connect_failed")
    assert line["local"] == tor.near.domain
    tor.near.backend.kill()  # what is acknowledged or stored survives that; this is about the latter
    tor.near.backend.start()
    tor.far.backend.start()
    romeo = tor.enter(name)
    romeo.send_message(f"nobody@{tor.near.domain}", "I am back")  # which tells them
    assert take(romeo, "first").find(DELAY).get("from") == tor.near.domain
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
    assert take(romeo, "without a proxy").find(DELAY) is not None


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
    juliet, stranger = someone(tor, tor.near), "z" * 55 + "d.onion"
    tor.proxy.refuse(stranger, HOST_UNREACHABLE)
    juliet.send_message(f"romeo@{stranger}", "is anybody there")
    id = juliet.send_iq("get", "<ping xmlns='urn:xmpp:ping'/>", stranger)
    while (got := juliet.next()).get("id") != id:
        pass
    assert error(got) == ("wait", "remote-server-timeout") and tor.proxy.asked(stranger)
    assert not [line for line in tor.near.backend.log(event="s2s_failed", domain=stranger)
                if line["failure"] != "connect_failed"]


# At the end, of all that was done above

def test_no_name_was_asked_for_in_dns(tor):
    assert tor.dns.names == []
    assert all(request.kind == "name" for request in tor.proxy.requests)
