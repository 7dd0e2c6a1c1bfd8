"""What a client may take of the server, and what happens to one that takes more."""

import json
import re
import time

import pytest

from harness.postern import run
from harness.rawxmpp import Closed
from harness.site import DOMAIN, Site
from harness.talk import auth, bind, condition, direct, ending, header, logged_in, ping, pong, receive_until
from harness.tcp import connect
from harness.wait import wait_until

conforms = pytest.mark.conforms

OPTIONS = """
stanza-size = 20000
sessions-per-user = 3
output-limit = 64k
streams-per-source = 40
client-ping = 11s
tcp-keepalive = 2m
"""


@pytest.fixture(scope="module")
def site():
    shared = Site(backend_extra=OPTIONS, host_extra=f'stanza-rate = 40 byte-rate = 128k admins = "admin@{DOMAIN}"')
    try:
        shared.backend.start()
        for user in ("juliet", "romeo", "admin"):
            shared.backend.add_user(f"{user}@{DOMAIN}", "secret")
        yield shared
    finally:
        shared.stop()


@pytest.fixture(scope="module", autouse=True)
def silent(site):
    """One that says nothing while the other tests run, but is there."""
    with logged_in(site.c2s_direct, "romeo", "silent") as raw:
        yield raw


def counter(site, name):
    return site.backend.counter(name)


# Sizes

@conforms("RFC 6120", "13.12", "a stanza of 10,000 bytes is taken before authentication, and one byte more is not")
def test_size_before_authentication(site):
    element = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'></auth>"
    for size, wanted in ((10000, b"<incorrect-encoding"), (10001, b"<policy-violation ")):
        with direct(site.c2s_direct) as raw:
            raw.send(header() + element.replace("></", ">" + "=" * (size - len(element)) + "</"))
            receive_until(raw, b"</stream:features>")
            receive_until(raw, wanted)


@conforms("RFC 6120", "13.12", "the administrator limits the size of stanzas; one over it ends the stream by policy-violation")
def test_size_after_authentication(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        message = f"<message to='{raw.jid}' id='large'><body></body></message>"
        fill = 20000 - len(message)
        raw.send(message.replace("<body>", "<body>" + "x" * fill))
        receive_until(raw, b"id='large'.*</message>")
        raw.send(message.replace("<body>", "<body>" + "x" * (fill + 1)))
        assert condition(ending(raw)) == "policy-violation"


@conforms("XEP-0478", "3.1", "the limits are told with the features, before and after authentication")
def test_limits_are_told(site):
    with direct(site.c2s_direct) as raw:
        for limits in ((10000,), (20000, 11)):
            features = raw.open(DOMAIN)
            told = features.find("{urn:xmpp:stream-limits:0}limits")
            assert [int(child.text) for child in told] == list(limits)
            if limits == (10000,):
                raw.authenticate("juliet", "secret", "PLAIN")


# Numbers

@conforms("RFC 6120", "7.6.2.1", "a user who has too many sessions is refused by resource-constraint, and may try again")
def test_sessions_of_a_user(site):
    wait_until(lambda: len(json.loads(site.backend.ctl("--json", "sessions"))) == 1, "those of before have gone")
    clients = [logged_in(site.c2s_direct, "juliet", f"r{number}") for number in range(3)]
    with direct(site.c2s_direct) as late:
        late.send(header() + auth("juliet") + header() + bind("r3"))
        receive_until(late, b"<error type='wait'><resource-constraint ")
        clients.pop().tcp.close()
        wait_until(lambda: len(json.loads(site.backend.ctl("--json", "sessions"))) == 3, "the session has gone")
        late.send(bind("r3"))
        receive_until(late, b"/r3</jid>")
    for client in clients:
        client.tcp.close()


def test_streams_of_a_source_that_have_not_logged_in(site):
    refused = counter(site, "crowded_source")
    waiting = [connect(site.c2s, source="127.0.5.1") for _ in range(40)]
    wait_until(lambda: json.loads(site.backend.ctl("--json", "status"))["connections"] >= 40, "all are there")
    with connect(site.c2s, source="127.0.5.1") as extra:
        try:
            assert extra.recv(1) == b""
        except ConnectionResetError:
            pass
    assert counter(site, "crowded_source") == refused + 1
    with connect(site.c2s, source="127.0.5.2") as other:  # somebody else
        other.sendall(header().encode())
        assert other.recv(1) == b"<"
    waiting.pop().close()
    wait_until(lambda: json.loads(site.backend.ctl("--json", "status"))["connections"] < 41, "one has gone")
    with direct(site.c2s_direct, source="127.0.5.1") as raw:  # who logs in is not counted any more
        raw.send(header() + auth("juliet") + header() + bind())
        receive_until(raw, b"</jid>")
        with connect(site.c2s, source="127.0.5.1") as another:
            another.sendall(header().encode())
            assert another.recv(1) == b"<"
    for sock in waiting:
        sock.close()


# Rates

@conforms("RFC 6120", "13.12", "who sends too fast is read from later; nothing is lost, and order is kept")
def test_stanzas_are_shaped(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        rests, begun = counter(site, "rests"), time.monotonic()
        raw.send("".join(ping(id=f"n{number}") for number in range(300)))
        raw.send(ping(id="last"))
        got = receive_until(raw, b"id='last'").string
        assert [int(number) for number in re.findall(b"id='n([0-9]+)'", got)] == list(range(300))
        assert time.monotonic() - begun > 2.4, "300 at 40 a second, 200 at once"
        assert counter(site, "rests") > rests


@conforms("RFC 6120", "13.12", "the same by bytes, white space too")
def test_bytes_are_shaped(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        rests, begun = counter(site, "rests"), time.monotonic()
        raw.send(" " * (7 * 131072 + 10000))
        raw.send(ping())
        receive_until(raw, b"id='ping'")
        assert time.monotonic() - begun > 1.9, "7 times 128 KiB at one a second, five at once"
        assert counter(site, "rests") > rests


def test_admins_are_not_shaped(site):
    with logged_in(site.c2s_direct, "admin") as raw:
        rests = counter(site, "rests")
        raw.send("".join(ping(id=f"n{number}") for number in range(300)))
        receive_until(raw, b"id='n299'")
        assert counter(site, "rests") == rests


# Readers

@conforms("RFC 6120", "4.9.3.17", "a client that does not read is told why it was closed, once it reads")
def test_a_slow_reader_is_told(site):
    with logged_in(site.c2s_direct, "juliet", "slow") as slow, logged_in(site.c2s_direct, "admin") as sender:
        for _ in range(1000):
            sender.send(f"<message to='{slow.jid}'><body>{'x' * 15000}</body></message>")
        pong(sender)
        text = ending(slow)
        assert condition(text) == "resource-constraint"
        assert 0 < text.count("<message ") == text.count("</message>") < 1000
    line = site.backend.wait_log(event="stream_end", reason="slow_reader")
    assert line["jid"] == f"juliet@{DOMAIN}/slow"


# Those who are not there any more

def test_tcp_asks_silent_clients(site):
    with logged_in(site.c2s_direct, "juliet") as raw:
        mine = raw.tcp.getsockname()[1]

        def keepalive():
            rows = [row.split() for row in open("/proc/net/tcp").read().splitlines()[1:]]
            timer, = [row[5] for row in rows if (int(row[1][9:], 16), int(row[2][9:], 16)) == (site.c2s_direct, mine)]
            kind, left = timer.split(":")
            return int(left, 16) / 100 if kind == "02" else None  # else something waits to be acknowledged

        assert 60 < wait_until(keepalive, "only the keepalive's timer is left") <= 120


@conforms("XEP-0199", "4.2", "the server asks a client that has been silent whether it is there")
def test_a_silent_client_is_asked(site, silent):
    asked = receive_until(silent, b"<iq [^>]*><ping xmlns='urn:xmpp:ping'/></iq>").group(0).decode()
    assert "type='get'" in asked and f"from='{DOMAIN}'" in asked and f"to='{silent.jid}'" in asked
    silent.send(f"<iq type='result' to='{DOMAIN}' id='are-you-there'/>")
    assert pong(silent) == ""


@pytest.mark.slow
@conforms("RFC 6120", "4.9.3.4", "a client that does not answer is closed by connection-timeout")
def test_a_client_that_has_gone_is_closed(site):
    with logged_in(site.c2s_direct, "juliet", "gone") as raw:
        end = time.monotonic() + 100
        while b"<connection-timeout " not in raw.received and time.monotonic() < end:
            try:
                raw.receive(timeout_s=80)
            except Closed:
                break
        assert b"<connection-timeout " in raw.received
    assert site.backend.wait_log(event="stream_end", reason="ping_timeout")


# Elsewhere

@conforms("RFC 6120", "4.9.3.19", "a host's clients are sent elsewhere, behind TLS and before they have said who they are")
def test_see_other_host(own_site):
    site = own_site(host_extra='see-other-host = "[2001:db8::1]:5222"')
    site.backend.start()
    with direct(site.c2s_direct) as raw:
        raw.send(header())
        text = ending(raw)
        assert condition(text) == "see-other-host" and ">[2001:db8::1]:5222</see-other-host>" in text
        assert "<stream:features>" not in text
    with connect(site.c2s) as sock:
        sock.sendall(header().encode())
        data = b""
        while b"</stream:features>" not in data:
            data += sock.recv(4096)
        assert b"<starttls " in data


@pytest.mark.parametrize("place", ["", "a b", "example.net:", "example.net:0", "example.net:65536", "example.net:http",
                                   "[2001:db8::1", "2001:db8::1"])
def test_see_other_host_is_checked(own_site, place):
    site = own_site(host_extra=f'see-other-host = "{place}"')
    done = run("postern-backend", "-t", "-c", site.backend.config)
    assert done.returncode != 0
    assert re.search(r"backend\.conf:\d+: host \"example.test\": see-other-host: expected a name or an address", done.stderr)
