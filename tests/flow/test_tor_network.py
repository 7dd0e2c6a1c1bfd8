"""Two laptops over Tor itself, in a network of our own on loopback, set up by the recipe's commands.

The machine has no other network meanwhile, where the kernel lets us."""

import contextlib

import pytest

from harness import networks
from harness.laptop import Laptop
from harness.place import Place
from harness.process import STARTED
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.socks5 import connect
from harness.stage import PASSWORD, Stage, body, local_name
from harness.tor_network import TorNetwork
from harness.wait import wait_until

DELAY = "{urn:xmpp:delay}delay"
TOR_S = 300  # a service is found again as late as this: its descriptor has to be made anew and spread
EXTRA = "auth-failures-per-source = 2\nauth-delay = 0s\n"


class Laptops(Stage):
    def __init__(self):
        super().__init__(None)
        self.place = Place()
        self.network = TorNetwork(self.place).start()
        self.laptops = {}
        for name in ("near", "far"):
            place = Place()
            laptop = Laptop(place, self.network.onion(place, name), EXTRA)
            self._serve_telephones(laptop)
            laptop.set_up(PASSWORD)
            self.laptops[laptop.domain] = laptop
        self.near, self.far = self.laptops.values()
        for one in self.laptops.values():
            wait_until(one.tor.is_bootstrapped, "tor builds circuits", TOR_S)

    @staticmethod
    def _serve_telephones(laptop):
        """As the comments in the two files say."""
        for name, old, new in (("torrc-onion.example", "# HiddenServicePort 5222", "HiddenServicePort 5222"),
                               ("backend-onion.conf.example", "# listener", "listener")):
            path = laptop.place.path / "examples" / name
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))

    def account(self, name):
        return name

    def password(self, _jid):
        return PASSWORD

    def connect(self, domain):
        return self.laptops[domain].connect()

    def end(self):
        for laptop in self.laptops.values():
            laptop.kill()
        self.network.stop()
        for place in (self.place, *(laptop.place for laptop in self.laptops.values())):
            place.remove()
        STARTED.clear()


@pytest.fixture(scope="module")
def laptops():
    with networks.Alone() if networks.possible() else contextlib.nullcontext():
        one = Laptops()
        try:
            yield one
        finally:
            one.end()


def take(actor, text):
    """The message with this body; what comes before it is passed over."""
    while body(got := actor.next(TOR_S)) != text:
        pass
    return got


def take_presence(actor, frm, type=None):
    while (local_name(got := actor.next(TOR_S)), got.get("from"), got.get("type")) != ("presence", frm, type):
        pass


def subscribe(one, other):
    one.send_presence("subscribe", other.bare)
    take_presence(other, one.bare, "subscribe")
    other.send_presence("subscribed", one.bare)
    take_presence(one, other.jid)


@pytest.mark.slow
def test_two_laptops(laptops):
    near, far = laptops.near, laptops.far
    juliet = laptops.enter(f"juliet@{near.domain}", "balcony")
    romeo = laptops.enter(f"juliet@{far.domain}", "orchard")

    juliet.send_message(romeo.bare, "art thou there")
    take(romeo, "art thou there")
    romeo.send_message(juliet.bare, "I am")
    take(juliet, "I am")
    subscribe(juliet, romeo)
    subscribe(romeo, juliet)

    # One goes away in the middle, with Tor and all, and the other writes.
    romeo.tcp.close()
    far.backend.kill()
    far.tor.kill()
    for number in range(3):
        juliet.send_message(romeo.bare, f"while you were away {number}")
    near.backend.wait_log(event="s2s_failed", domain=far.domain)

    # It comes back, and tells so by itself, since it has contacts there.
    far.tor.start()
    far.backend.start()
    romeo = laptops.enter(romeo.bare, "bench")
    for number in range(3):
        assert take(romeo, f"while you were away {number}").find(DELAY) is not None
    take_presence(juliet, romeo.jid)
    romeo.send_message(juliet.bare, "here I am")
    take(juliet, "here I am")

    peers = {line["peer"] for one in (near, far) for line in one.backend.log(event="s2s_open", direction="in")}
    assert peers and all(peer.startswith("[fc00:dead:beef:4dad::") for peer in peers)


@pytest.mark.slow
def test_lockout_is_of_the_circuit(laptops):
    """Somebody tries passwords over Tor; others, on circuits of their own, log in."""
    near, far = laptops.near, laptops.far

    def attempt(circuit, password):
        sock = wait_until(lambda: connect(far.tor.socks, circuit, near.domain, 5222)[0], "the service is found", TOR_S)
        with RawClient.over(sock) as client:
            client.open(near.domain)
            try:
                client.authenticate("juliet", password, "SCRAM-SHA-256")
            except AuthenticationFailed as failed:
                return str(failed)

    assert [attempt("guesser", "wrong") for _ in range(2)] == ["not-authorized"] * 2
    line = near.backend.wait_log(event="auth_locked", what="source")
    assert line["peer"].startswith("[fc00:dead:beef:4dad::")
    assert attempt("guesser", PASSWORD) == "temporary-auth-failure"
    assert attempt("somebody else", PASSWORD) is None
