"""What the configuration, and RFC 6120, say about other servers, one by one: names in TLS, limits of time and space, when
a server is tried again, and what it is told then."""

import socket
import sqlite3
import time

import pytest
from OpenSSL import SSL

from harness.dns import Nameserver
from harness.place import Place
from harness.ports import reserve_address, reserve_port
from harness.rawserver import RawServer
from harness.site import DOMAIN, Site
from harness.sm import enable, wait_acknowledged
from harness.stage import Stage, error, local_name, number
from harness.wait import wait_until

conforms = pytest.mark.conforms
WEEK_MS = 7 * 86400 * 1000
CONFIG = """
s2s = true
s2s-ca = "{ca}"
s2s-connect-timeout = 8s
{resolver}
listener "s2s" {{ address = "127.0.0.1:{port}" serve = servers }}
remote "*.peers.test" {{ address = "127.0.0.1:{peers}" }}
remote "*.direct.test" {{ address = "127.0.0.1:{peers}" tls = direct }}
remote "silent.test" {{ address = "127.0.0.41:{silent}" }}
remote "full.peers.test" {{ address = "127.0.0.1:{peers}" queue-bytes = 1000 }}
remote "short.peers.test" {{ address = "127.0.0.1:{peers}" stanza-size = 10000 }}
remote "few.peers.test" {{ address = "127.0.0.1:{peers}" streams-per-domain = 2 }}
remote "pinned.peers.test" {{ address = "127.0.0.1:{peers}" pins = {{"sha256:{pin}"}} secure-auth = false }}
host "closed.test" {{ certificate = "{cert}" key = "{key}" s2s-deny = "single.peers.test" }}
"""


class Silent:
    """An address that answers nothing, not even to the first packet: more wait there than the system lets."""

    def __init__(self, address, port, family=socket.AF_INET):
        self.sockets = [socket.socket(family)]
        self.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets[0].bind((address, port))
        self.sockets[0].listen(0)
        for _ in range(4):
            self.sockets.append(socket.socket(family))
            self.sockets[-1].setblocking(False)
            self.sockets[-1].connect_ex((address, port))

    def close(self):
        for sock in self.sockets:
            sock.close()


class Names(RawServer):
    """Remembers what the handshakes of TLS ask for."""

    def context(self, method, alpn=()):
        context = super().context(method, alpn)
        if method == SSL.TLS_SERVER_METHOD:
            context.set_tlsext_servername_callback(lambda tls: setattr(self, "name", tls.get_servername()))
            context.set_alpn_select_callback(self._choose)
        return context

    def _choose(self, _tls, offered):
        self.alpn = offered
        return b"xmpp-server"


class Quiet(RawServer):
    """Acknowledges nothing unless the test does."""

    def on_header(self, link, header):
        link.acks = False
        super().on_header(link, header)


class World:
    def __init__(self):
        self.place, self.website = Place(), reserve_address()
        self.port, self.peers, self.silent_port = reserve_port(), reserve_port(), reserve_port()
        self.files = self.place.certificate("peers", ["*.peers.test", "*.direct.test", "two.test"])
        cert, key = self.place.certificate("closed", ["closed.test"])
        self.dns = Nameserver(self.place).start()
        self.dns.publish([f"_xmpp-server._tcp.two.test. SRV 0 0 {self.peers} host.test.",
                          "host.test. AAAA ::1", "host.test. A 127.0.0.1", "closed.test. A 127.0.0.1",
                          "_xmpp-server._tcp.down.test. SRV 0 0 1 closed.test.", f"down.test. A {self.website}"])
        self.silent = [Silent("127.0.0.41", self.silent_port), Silent("::1", self.peers, socket.AF_INET6)]
        self.site = Site(backend_extra=CONFIG.format(
            ca=self.files[0], port=self.port, peers=self.peers, silent=self.silent_port, pin="0" * 64, cert=cert, key=key,
            resolver=self.dns.resolver()))

    def server(self, domain=None, kind=RawServer, **arguments):
        return kind(domain or f"server{number()}.peers.test", port=self.peers, files=self.files, **arguments)

    def open(self, server):
        link = server.connect("127.0.0.1", self.port, DOMAIN)
        link.external()
        return link

    def stop(self):
        self.site.stop()
        for silent in self.silent:
            silent.close()
        self.dns.kill()
        self.place.remove()


@pytest.fixture(scope="module")
def world():
    one = World()
    try:
        one.site.backend.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def stage(world):
    with Stage(world.site) as one:
        yield one


@pytest.fixture
def juliet(stage):
    return stage.enter("juliet", "balcony", priority=None)


def store(world):
    return sqlite3.connect(f"{world.site.backend.state_dir}/postern.sqlite")


@conforms("XEP-0368", "4", "direct TLS between servers names the domain (SNI) and the protocol (ALPN)")
def test_names_in_direct_tls(world, juliet):
    with world.server(f"server{number()}.direct.test", Names) as peer:
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        peer.accept().next_of("message")
        assert (peer.name, peer.alpn) == (peer.domain.encode(), [b"xmpp-server"])


def test_name_in_starttls(world, juliet):
    with world.server(kind=Names) as peer:
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        peer.accept().next_of("message")
        assert peer.name == peer.domain.encode()


def test_an_address_that_does_not_answer_is_not_waited_for(world, juliet):
    """RFC 8305: of two addresses the one that works is used, long before the other one's time is over."""
    with world.server("two.test") as peer:
        begun = time.monotonic()
        juliet.send_message("romeo@two.test", "hello")
        peer.accept().next_of("message")
        assert time.monotonic() - begun < 7


@conforms("RFC 6120", "3.2.1", "where there are SRV records the domain's own address is not tried")
def test_no_fallback_behind_records(world, juliet):
    with socket.create_server((world.website, 5269)) as website:
        website.setblocking(False)
        answer = juliet.request("get", "<ping xmlns='urn:xmpp:ping'/>", to="down.test")
        assert error(answer)[1] == "remote-server-timeout"
        with pytest.raises(BlockingIOError):
            website.accept()


def test_connect_timeout(world, juliet):
    """No address gets more time than all of them together."""
    begun = time.monotonic()
    answer = juliet.request("get", "<ping xmlns='urn:xmpp:ping'/>", to="silent.test")
    assert error(answer)[1] == "remote-server-timeout"
    assert 7.5 < time.monotonic() - begun < 15


def test_bytes_in_the_queue_are_limited(world, juliet):
    juliet.send_message("romeo@full.peers.test", "x" * 700, id="waits")
    world.site.backend.wait_log(event="s2s_failed", domain="full.peers.test")
    juliet.send_message("romeo@full.peers.test", "x" * 700, id="too-much")
    got = juliet.expect("message", "error", id="too-much")
    assert error(got)[1] == "resource-constraint"


def test_a_server_that_connects_is_tried_at_once(world, juliet):
    with world.server() as peer:
        peer.deafen()
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        world.site.backend.wait_log(event="s2s_failed", domain=peer.domain)
        failed = time.monotonic()
        peer.listen()
        world.open(peer)
        peer.accept().next_of("message")
        assert time.monotonic() - failed < 5, "the first attempt by itself is not made sooner"


def test_a_server_is_tried_at_once_when_an_administrator_says_so(world, juliet):
    with world.server() as peer:
        peer.deafen()
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        world.site.backend.wait_log(event="s2s_failed", domain=peer.domain)
        failed = time.monotonic()
        peer.listen()
        world.site.backend.retry(peer.domain)
        peer.accept().next_of("message")
        assert time.monotonic() - failed < 5, "the first attempt by itself is not made sooner"


@conforms("RFC 6121", "4.2.2", "presence is sent and asked for anew when a server is back")
def test_presence_anew(world, stage):
    """To those who see it, and from those who are seen; nobody else."""
    with world.server(sm=False) as peer:
        actor = stage.enter(resource="balcony", priority=None)
        for local, subscription in (("sees", "from"), ("seen", "to"), ("nobody", "none")):
            world.site.backend.ctl("roster", "add", actor.bare, f"{local}@{peer.domain}", f"subscription={subscription}")
        actor.send_presence(inner="<status>before</status>")
        link = peer.accept()
        for _ in range(2):
            link.next_of("presence")
        actor.send_message(f"sees@{peer.domain}", "unanswered")
        link.next_of("message")
        link.cut()
        link = peer.accept()
        link.next_of("message")
        seen = []
        while len(seen) < 2:
            got = link.next()
            if local_name(got) != "iq":  # the ping that asks whether the message has come
                seen.append((local_name(got), got.get("type"), got.get("to").split("@")[0]))
        assert set(seen) == {("presence", None, "sees"), ("presence", "probe", "seen")}


def test_what_is_too_old_comes_back(world, stage):
    """While nobody can be reached, and at its time."""
    backend = world.site.backend
    juliet = stage.enter("juliet", "balcony", priority=None)
    enable(juliet)
    juliet.send_message("romeo@server-away.peers.test", "too old", id="too-old")
    wait_acknowledged(juliet, 1)
    wait_until(lambda: backend.log(event="s2s_failed", domain="server-away.peers.test"), "a failure")
    backend.stop()
    with store(world) as db:
        db.execute("UPDATE queue SET stamp_ms = ? WHERE text LIKE '%too old%'",
                   (int(time.time() * 1000) + 9000 - WEEK_MS,))
    db.close()
    backend.start()
    again = stage.enter("juliet", "balcony", priority=None)
    got = again.expect("message", "error", f"romeo@server-away.peers.test", id="too-old")
    assert error(got)[1] == "remote-server-timeout"


def test_streams_of_a_domain_that_is_denied_are_closed(world, juliet):
    """Both those that it has opened and those that we have."""
    config = world.site.backend.config
    before = config.read_text()
    with world.server() as peer:
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        ours, theirs = peer.accept(), world.open(peer)
        ours.next_of("message")
        try:
            config.write_text(f's2s-deny = "{peer.domain}"\n' + before)
            world.site.backend.ctl("reload")
            for link in (ours, theirs):
                assert link.stream_error()[0] == "policy-violation"
        finally:
            config.write_text(before)
            world.site.backend.ctl("reload")


def test_a_failure_is_logged_once(world, juliet):
    """However often it comes again; its end, too."""
    with world.server() as peer:
        peer.deafen()
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        world.site.backend.wait_log(event="s2s_failed", domain=peer.domain)
        for _ in range(2):
            world.site.backend.retry(peer.domain)
            answer = juliet.request("get", "<ping xmlns='urn:xmpp:ping'/>", to=peer.domain)
            assert error(answer)[1] == "remote-server-timeout"
        peer.listen()
        world.site.backend.retry(peer.domain)
        peer.accept().next_of("message")
        world.site.backend.wait_log(event="s2s_recovered", domain=peer.domain)
        assert len(world.site.backend.log(event="s2s_failed", domain=peer.domain)) == 1


def test_another_key_than_the_pinned_one_proves_nothing(world, juliet):
    """Whatever else it may have: a valid certificate, or a key of dialback that is right."""
    with world.server("pinned.peers.test") as peer:
        answer = juliet.request("get", "<ping xmlns='urn:xmpp:ping'/>", to=peer.domain)
        assert error(answer)[1] == "policy-violation"
        link = peer.connect("127.0.0.1", world.port, DOMAIN)
        assert not link.offers("mechanisms")
        asked = peer.count
        assert link.try_dialback() == "error"
        assert peer.count == asked, "it is not even asked"


def test_stanzas_of_a_domain_may_be_limited(world):
    with world.server("short.peers.test") as peer:
        link = world.open(peer)
        link.send(f"<message from='{peer.domain}' to='{DOMAIN}'><body>{'x' * 12000}</body></message>")
        assert link.stream_error()[0] == "policy-violation"


def test_the_oldest_of_too_many_streams_ends(world):
    with world.server("few.peers.test") as peer:
        links = [world.open(peer) for _ in range(3)]
        ended = [link for link in links if link.how]
        assert links[0].stream_error()[0] == "conflict"
        assert ended in ([], links[:1])


def test_who_needs_a_certificate_cannot_do_with_dialback(world):
    """Its certificate is of an authority that nobody knows, and its key of dialback would be right."""
    files = world.place.certificate("strange", ["strange.peers.test"])
    with RawServer("strange.peers.test", port=world.peers, files=files) as peer:
        assert peer.connect("127.0.0.1", world.port, DOMAIN).try_dialback() == "error"
        assert peer.count == 0, "it is not even asked"


def test_who_has_a_certificate_need_not_be_asked(world):
    """Dialback without the connection back: what the key is does not matter then."""
    with world.server() as peer:
        peer.connect("127.0.0.1", world.port, DOMAIN).dialback()
        assert peer.count == 0


def test_a_host_may_deny_what_others_allow(world):
    """A certificate is good for every host of ours, but not where its domain is denied."""
    with world.server("single.peers.test") as peer:
        link = world.open(peer)
        link.send(f"<message from='{peer.domain}' to='closed.test'><body>hello</body></message>")
        assert link.stream_error()[0] == "host-unknown"


@conforms("XEP-0288", "2.2", "who opens a stream has the other server answer on it")
def test_both_directions_where_the_other_server_offers_it(world, juliet):
    with world.server(bidi=True) as peer:
        juliet.send_message(f"romeo@{peer.domain}", "hello")
        link = peer.accept()
        link.next_of("message")
        assert link.bidi
        link.send(f"<message from='romeo@{peer.domain}' to='{juliet.jid}' type='chat'><body>welcome</body></message>")
        juliet.expect("message", body="welcome")


def test_both_directions_are_offered(world):
    with world.server() as peer:
        assert peer.connect("127.0.0.1", world.port, DOMAIN).offers("bidi")


@conforms("XEP-0220", "2.6.1", "a server that understands errors gets several pairs of domains on one stream")
def test_two_hosts_share_a_stream(world, stage, juliet):
    world.site.backend.add_user("anna@closed.test", "secret")
    anna = stage.connect("closed.test")
    anna.login("anna", "secret", "closed.test", mechanism="PLAIN", resource="desk")
    stage.add(anna)
    with world.server() as peer:
        for writer in (juliet, anna):
            writer.send_message(f"romeo@{peer.domain}", "hello")
            if writer is juliet:
                link = peer.accept()
            assert link.next_of("message").get("from") == writer.jid


def rows(world, text):
    with store(world) as db:
        return [id for id, in db.execute("SELECT id FROM queue WHERE text LIKE ?", (f"%{text}%",))]


def test_a_row_is_there_until_it_is_confirmed(world, juliet):
    """What was sent and is not acknowledged gets a row; what had one keeps it; only then do they go."""
    with world.server(kind=Quiet) as peer:
        peer.deafen()
        juliet.send_message(f"romeo@{peer.domain}", "row before")
        wait_until(lambda: rows(world, "row before"), "a row")
        before = rows(world, "row before")
        peer.listen()
        world.site.backend.retry(peer.domain)
        link = peer.accept()
        link.next_of("message")
        juliet.send_message(f"romeo@{peer.domain}", "row behind")
        link.next_of("message")
        wait_until(lambda: rows(world, "row behind"), "a row")
        assert rows(world, "row before") == before
        link.ack()
        wait_until(lambda: not rows(world, "row b"), "no row")
