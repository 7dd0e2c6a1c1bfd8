"""External components (XEP-0114): from the handshake to what users see of them."""

import asyncio
import hashlib
import re

import pytest
import slixmpp

from harness.client import Client
from harness.postern import run
from harness.ports import reserve_port
from harness.rawxmpp import RawClient
from harness.site import DOMAIN, Site
from harness.talk import condition, ending, header, logged_in, pong, receive_until
from harness.wait import PATIENCE_S, wait_until

conforms = pytest.mark.conforms
ECHO, SECRET = f"echo.{DOMAIN}", "do <not> tell & hide"
STRICT = "gateway.test"

PORT, TLS_PORT = reserve_port(), reserve_port()
CONFIG = f"""
listener "components" {{ address = "127.0.0.1:{PORT}" serve = components }}
listener "components-tls" {{ address = "127.0.0.1:{TLS_PORT}" serve = components tls = direct }}
component "{ECHO}" {{ secret = "{SECRET}" conflict = replace }}
component "{STRICT}" {{ secret = "another secret" }}
"""


@pytest.fixture(scope="module", params=[1, 4], ids=["one shard", "four shards"])
def site(request):
    shared = Site(backend_extra=CONFIG + f"shards = {request.param}\n")
    try:
        shared.backend.start()
        for user in ("juliet", "romeo"):
            shared.backend.add_user(f"{user}@{DOMAIN}", "secret")
        yield shared
    finally:
        shared.stop()


class Component(slixmpp.ComponentXMPP):
    """slixmpp's; answers every message by what it says."""

    def __init__(self):
        super().__init__(ECHO, SECRET, "127.0.0.1", PORT)
        self.ready = asyncio.get_running_loop().create_future()
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", lambda _: self.ready.done() or self.ready.set_result(None))
        self.add_event_handler("message", self.echo)

    def echo(self, message):
        if message["type"] != "error":
            self.send_message(mto=message["from"], mfrom=message["to"], mbody=message["body"], mtype=message["type"])


def open_component(to=ECHO, ns="jabber:component:accept", port=PORT):
    raw = RawClient("127.0.0.1", port)
    if port == TLS_PORT:
        raw.start_tls()
    raw.send(header(to, version=None, ns=ns))
    return raw


def shake(raw, secret=SECRET):
    id = receive_until(raw, b"<stream:stream [^>]*id='([^']*)'[^>]*>").group(1).decode()
    raw.send(f"<handshake>{hashlib.sha1((id + secret).encode()).hexdigest()}</handshake>")
    return raw


def attached(to=ECHO, secret=SECRET, port=PORT):
    raw = shake(open_component(to, port=port), secret)
    receive_until(raw, b"<handshake/>")
    return raw


@pytest.mark.release
@pytest.mark.tsan
@conforms("XEP-0114", "3", "a component attaches, and users talk to it in both directions; disco lists it")
def test_slixmpp(site):
    async def talk():
        component = Component()
        component.connect()
        await asyncio.wait_for(component.ready, PATIENCE_S)
        async with Client(f"juliet@{DOMAIN}", "secret", site.cert, mechanism="PLAIN") as juliet:
            await juliet.connect_to("127.0.0.1", site.c2s_direct)
            for number in range(50):
                juliet.send_message(mto=f"anybody{number % 5}@{ECHO}/x", mbody=str(number), mtype="chat")
            got = {}
            for _ in range(50):
                message = await juliet.receive()
                got.setdefault(message["from"].full, []).append(int(message["body"]))
            assert got == {f"anybody{who}@{ECHO}/x": list(range(who, 50, 5)) for who in range(5)}
            await juliet["xep_0199"].send_ping(ECHO, timeout=PATIENCE_S)
            juliet.register_plugin("xep_0030")
            items = await juliet["xep_0030"].get_items(jid=DOMAIN, timeout=PATIENCE_S)
            assert {item[0] for item in items["disco_items"]["items"]} == {ECHO}
        component.disconnect(wait=0)
        await asyncio.wait_for(component.disconnected, PATIENCE_S)

    asyncio.run(talk())


@conforms("XEP-0114", "3", "a wrong handshake is refused by not-authorized, and the connection is closed")
@pytest.mark.parametrize("proof", ["wrong", "", "0" * 40, hashlib.sha1(SECRET.encode()).hexdigest()])
def test_wrong_secret(site, proof):
    with open_component() as raw:
        raw.send(f"<handshake>{proof}</handshake>")
        assert condition(ending(raw)) == "not-authorized"


@conforms("XEP-0114", "3", "a secret with characters of XML's own may be escaped or not")
def test_escaped_secret(site):
    with attached(secret=SECRET.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) as raw:
        assert raw.received == b""


@conforms("XEP-0114", "3", "an unknown name, a stream of clients, a stanza before the handshake: each has its stream error")
def test_bad_openings(site):
    for text, wanted in ((header("other.test", None, ns="jabber:component:accept"), "host-unknown"),
                         (header(DOMAIN, None, ns="jabber:component:accept"), "host-unknown"),
                         (header(None, None, ns="jabber:component:accept"), "host-unknown"),
                         (header(ECHO), "invalid-namespace"),
                         (header(ECHO, None, ns="jabber:component:accept") + "<message/>", "not-authorized"),
                         ("<!DOCTYPE x>", "restricted-xml"), ("GET / HTTP/1.1\r\n\r\n", "not-well-formed")):
        with RawClient("127.0.0.1", PORT) as raw:
            raw.send(text)
            got = ending(raw)
            assert condition(got) == wanted and got.startswith("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept'")


def test_a_client_may_not_claim_to_be_a_component(site):
    with RawClient("127.0.0.1", site.c2s) as raw:
        raw.send(header(ECHO, ns="jabber:component:accept"))
        assert condition(ending(raw)) == "invalid-namespace"


@conforms("XEP-0114", "3", "the sender's domain must be the component's")
@pytest.mark.parametrize("sender", [None, f"romeo@{DOMAIN}", f"x@sub.{ECHO}", DOMAIN, "@", ""])
def test_forged_senders(site, sender):
    with logged_in(site.c2s_direct, "juliet") as juliet, attached() as raw:
        given = "" if sender is None else f" from='{sender}'"
        raw.send(f"<message{given} to='{juliet.jid}' id='forged'/>")
        assert condition(ending(raw)) == "invalid-from"
        assert "forged" not in pong(juliet)


@conforms("XEP-0114", "3", "a stanza without an addressee is refused, the stream goes on")
def test_no_addressee(site):
    with logged_in(site.c2s_direct, "juliet") as juliet, attached() as raw:
        raw.send(f"<message from='{ECHO}' id='m1'/><iq type='get' from='{ECHO}' to='{DOMAIN}'/>")
        receive_until(raw, b"<message [^>]*id='m1'[^>]*><error type='modify'><jid-malformed ")
        receive_until(raw, b"<iq [^>]*><error type='modify'><bad-request ")
        raw.send(f"<message from='nurse@{ECHO}' to='{juliet.jid}' id='m2'><body>x</body>"
                 "<x xmlns='urn:x'><message xmlns='jabber:client'/></x></message>")
        got = receive_until(juliet, b"<message [^>]*id='m2'.*?</x>.*?</message>").group(0).decode()
        assert "jabber:component" not in got and "<body>x</body>" in got


@conforms("RFC 6120", "8.3.3.17", "who writes to a component that is not there is told remote-server-timeout")
def test_a_component_that_is_away(site):
    with logged_in(site.c2s_direct, "juliet") as juliet:
        juliet.send(f"<message to='x@{STRICT}' id='away'><body>x</body></message>")
        receive_until(juliet, b"<message [^>]*id='away'[^>]*>.*<error type='wait'><remote-server-timeout ")
        with attached(STRICT, "another secret") as raw:
            juliet.send(f"<message to='x@{STRICT}' id='there'><body>x</body></message>")
            got = receive_until(raw, b"<message [^>]*id='there'[^>]*>").group(0).decode()
            assert f"from='{juliet.jid}'" in got and "xmlns" not in got
            raw.send("</stream:stream>")
            assert raw.receive_all()[0].endswith(b"</stream:stream>")
        juliet.send(f"<iq type='get' to='{STRICT}' id='gone'><ping xmlns='urn:xmpp:ping'/></iq>")
        receive_until(juliet, b"<remote-server-timeout ")


@pytest.mark.tsan
@conforms("XEP-0114", "3", "a second connection of a component is refused by conflict, or takes the place, as configured")
def test_conflict(site):
    with attached() as old, attached() as new:
        assert condition(ending(old)) == "conflict"
        new.send(f"<iq type='get' from='{ECHO}' to='{DOMAIN}' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        receive_until(new, b"id='p'")
    with attached(STRICT, "another secret") as old:
        with shake(open_component(STRICT), "another secret") as new:
            assert condition(ending(new)) == "conflict"
        old.send(f"<iq type='get' from='{STRICT}' to='{DOMAIN}' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        receive_until(old, b"id='p'")


def test_direct_tls(site):
    with attached(port=TLS_PORT) as raw:
        assert raw.tls.get_protocol_version_name() == "TLSv1.3"


def test_silence_before_the_handshake_ends(own_site):
    port = reserve_port()
    own_site(backend_extra=f'listener "components" {{ address = "127.0.0.1:{port}" serve = components }}\n'
             f'component "{ECHO}" {{ secret = "{SECRET}" }}\nauth-timeout = 1s\n').backend.start()
    with open_component(port=port) as raw:
        assert condition(ending(raw)) == "connection-timeout"


@pytest.mark.tsan
def test_order_from_a_component(site):
    with logged_in(site.c2s_direct, "juliet") as juliet, attached() as raw:
        raw.send("".join(f"<message from='x@{ECHO}' to='{juliet.jid}' id='n{number}'/>" for number in range(500)))
        got = receive_until(juliet, b"id='n499'").string
        assert [int(number) for number in re.findall(b"id='n([0-9]+)'", got)] == list(range(500))


def test_a_component_that_is_taken_out_of_the_configuration(own_site):
    port = reserve_port()
    one = (f'listener "components" {{ address = "127.0.0.1:{port}" serve = components }}\n'
           f'component "{STRICT}" {{ secret = "another secret" }}\n')
    site = own_site(backend_extra=one + f'component "{ECHO}" {{ secret = "{SECRET}" }}\n')
    site.backend.start()
    with attached(port=port) as gone, attached(STRICT, "another secret", port) as stays:
        text = site.backend.config.read_text()
        site.backend.config.write_text(text.replace(f'component "{ECHO}" {{ secret = "{SECRET}" }}\n', ""))
        site.backend.ctl("reload")
        assert condition(ending(gone)) == "host-gone"
        stays.send(f"<iq type='get' from='{STRICT}' to='{DOMAIN}' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        receive_until(stays, b"id='p'")
        site.backend.signal(15)
        assert condition(ending(stays)) == "system-shutdown"
    wait_until(lambda: not site.backend.running(), "it has stopped")


@pytest.mark.parametrize("text, expected", [
    ('listener "c" { address = "127.0.0.1:1" serve = components }\ncomponent "x.test" { secret = "short" }',
     'component "x.test": secret: expected at least 8 characters'),
    ('component "x.test" { secret = "long enough" }', 'component "x.test": expected a listener for it'),
    ('listener "c" { address = "127.0.0.1:1" serve = components }\n'
     f'component "{DOMAIN}" {{ secret = "long enough" }}', f'the domain "{DOMAIN}" has a section already'),
    ('listener "c" { address = "127.0.0.1:1" serve = components }\ncomponent "a b" { secret = "long enough" }',
     "expected a domain"),
    ('listener "c" { address = "*:1" serve = components }', 'listener "c": address: expected an address of this machine'),
    ('listener "c" { address = "127.0.0.1:1" serve = components tls = starttls }', "tls: expected direct or none"),
    ('listener "c" { address = "127.0.0.1:1" tls = none }', "tls: expected starttls or direct"),
])
def test_configuration_errors(own_site, text, expected):
    site = own_site(backend_extra=text)
    done = run("postern-backend", "-t", "-c", site.backend.config)
    assert done.returncode != 0 and re.search(r"backend\.conf:\d+: ", done.stderr) and expected in done.stderr
