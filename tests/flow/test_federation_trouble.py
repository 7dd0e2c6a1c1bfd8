"""What becomes of messages between servers when one of them, the network, a certificate or DNS fails for some time:
nothing is lost, and nothing comes in another order."""

import itertools
import json
import threading

import pytest

from harness import process
from harness.authority import Authority
from harness.component import Component
from harness.federation import Company, Federation, PosternMember
from harness.federation_peers import ProsodyMember
from harness.ports import reserve_port
from harness.postern import run
from harness.rawserver import RawServer
from harness.sm import enable, wait_acknowledged
from harness.stage import body, number
from harness.wait import wait_until

OURS, THEIRS = "a.example", "b.example"


@pytest.fixture
def federation():
    with Federation() as one:
        yield one
    process.STARTED.clear()


@pytest.fixture
def company(federation):
    with Company(federation) as one:
        yield one


def exchange(one, other):
    """A message each way; what came shortly before a server ended may come again."""
    for writer, reader in ((one, other), (other, one)):
        text = f"message {number()}"
        writer.send_message(reader.jid, text)
        while body(got := reader.next()) != text:
            pass
        assert got.get("from") == writer.jid


def arrives_later(company, writer, jid, mend):
    """What is written while there is no way arrives in order once mend() has been called; who reads it."""
    texts = [f"message {number()}" for _ in range(5)]
    for text in texts:
        writer.send_message(jid, text)
    writer.sync()
    mend()
    reader = company.enter(jid)
    came, waited = [], reader.own_presence
    while texts[-1] not in came:
        stanza = waited.pop(0) if waited else reader.next()
        if body(stanza) in texts:  # without stream management what came before may come again
            came.append(body(stanza))
    assert came == texts
    return reader


def ask(federation, command):
    """Have our server do this with its streams, if there is anything to do."""
    run("posternctl", "-c", federation.members[OURS].backend.config, "s2s", command, THEIRS)


def retry(federation):
    ask(federation, "retry")


@pytest.mark.parametrize("member, how", [(PosternMember, "stop"), (PosternMember, "kill"), (ProsodyMember, "stop"),
                                         (ProsodyMember, "kill")])
def test_the_other_server_restarts(federation, company, member, how):
    PosternMember(federation, OURS)
    theirs = member(federation, THEIRS)
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    exchange(juliet, romeo)
    if how == "stop":
        theirs.stop()
    theirs.kill()
    company.parties.remove(romeo)

    def mend():
        theirs.start()
        retry(federation)

    romeo = arrives_later(company, juliet, romeo.bare, mend)
    exchange(romeo, juliet)


def first_of_each(reader, texts):
    """These messages, up to the last of them, without those that came again."""
    came, waited = [], reader.own_presence
    while texts[-1] not in came:
        text = body(waited.pop(0) if waited else reader.next())
        if text in texts and text not in came:
            came.append(text)
    return came


def write(writer, jid, count=5, length=0):
    texts = [f"message {number()} " + "x" * length for _ in range(count)]
    for text in texts:
        writer.send_message(jid, text)
    return texts


def unacknowledged(federation):
    rows = json.loads(federation.members[OURS].backend.ctl("--json", "s2s", "list", THEIRS))
    return sum(row["unacknowledged"] for row in rows)


def waiting(federation):
    """How many messages wait in the store."""
    rows = json.loads(federation.members[OURS].backend.ctl("--json", "s2s", "queue", "list"))
    return sum(row["messages"] for row in rows)


@pytest.mark.parametrize("member, arguments", [(PosternMember, {}), (ProsodyMember, {"sm": True})])
def test_partition(federation, company, member, arguments):
    """Connections stay open and nothing comes through: the other server is taken for dead, messages wait, and arrive
    in order when the network has healed."""
    ours = PosternMember(federation, OURS, extra="ack-timeout = 1s\ns2s-connect-timeout = 1s")
    wires = [ours.put_behind_wire(), member(federation, THEIRS, **arguments).put_behind_wire()]
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    exchange(juliet, romeo)
    wait_until(lambda: unacknowledged(federation) == 0, "everything is acknowledged")
    for wire in wires:
        wire.hold()
    texts = write(juliet, romeo.jid)
    ours.backend.wait_log(event="s2s_end", domain=THEIRS, reason="silent")
    texts += write(juliet, romeo.jid)
    wait_until(lambda: waiting(federation) >= len(texts), "they wait")
    for wire in wires:
        wire.let_go()
    retry(federation)
    assert first_of_each(romeo, texts) == texts
    exchange(romeo, juliet)
    wait_until(lambda: waiting(federation) == 0, "nothing waits any more")


@pytest.mark.parametrize("member, arguments", [(PosternMember, {}), (ProsodyMember, {"sm": True})])
def test_slow(federation, company, member, arguments):
    """To a server that reads slowly all arrives, once and in order."""
    PosternMember(federation, OURS)
    wire = member(federation, THEIRS, **arguments).put_behind_wire()
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    exchange(juliet, romeo)
    wire.slow(2 << 20)
    texts = [f"message {number()} " + "x" * 30000 for _ in range(150)]
    writer = threading.Thread(target=lambda: [juliet.send_message(romeo.jid, text) for text in texts])
    writer.start()
    for text in texts:
        while not (got := body(romeo.next())):
            pass
        assert got == text
    writer.join()
    exchange(romeo, juliet)


def test_bad_certificates(federation, company):
    """Of Prosody, one after the other, while messages wait; with a good one they arrive."""
    PosternMember(federation, OURS)
    theirs = ProsodyMember(federation, THEIRS)
    federation.start()
    ours = federation.members[OURS].backend
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    exchange(juliet, romeo)
    authority, texts = federation.authority, []
    for certificate, why in ((authority.server(THEIRS, days=-1), "it has expired"),
                             (authority.server("c.example"), "it is not for this domain"),
                             (Authority(federation.place, "strangers").server(THEIRS), "its authority is not trusted")):
        theirs.show(certificate)
        ask(federation, "close")
        texts += write(juliet, romeo.jid)
        juliet.sync()
        retry(federation)
        wait_until(lambda: why in ours.ctl("s2s", "list"), lambda: f"{why}: {ours.ctl('s2s', 'list')}")
        wait_until(lambda: waiting(federation) >= len(texts), "they wait")
    theirs.show(authority.server(THEIRS))
    retry(federation)
    assert first_of_each(romeo, texts) == texts
    exchange(romeo, juliet)


def test_dns_fails(federation, company):
    ours = PosternMember(federation, OURS, resolver="timeout = 1s").backend
    ProsodyMember(federation, THEIRS)
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    federation.nameserver.stop()
    texts = write(juliet, romeo.jid)
    ours.wait_log(event="s2s_failed", domain=THEIRS, failure="dns_failed")
    wait_until(lambda: waiting(federation) >= len(texts), "they wait")
    federation.nameserver.start()
    retry(federation)
    assert first_of_each(romeo, texts) == texts
    exchange(romeo, juliet)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_we_restart(federation, company, how):
    """While a user writes to Prosody: what we had acknowledged arrives."""
    ours = PosternMember(federation, OURS)
    wire = ProsodyMember(federation, THEIRS).put_behind_wire()
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    exchange(juliet, romeo)
    enable(juliet)
    wire.hold()  # so that some are under way
    texts = write(juliet, romeo.jid, 30)
    wait_acknowledged(juliet, len(texts))
    getattr(ours, how)()
    company.parties.remove(juliet)
    wire.let_go()
    ours.start()
    retry(federation)
    assert first_of_each(romeo, texts) == texts
    exchange(romeo, company.enter(f"juliet@{OURS}"))


COMPONENTS = """
listener "components" {{ address = "127.0.0.1:{port}" serve = components }}
component "rooms.{domain}" {{ secret = "a secret of it" }}
"""


def with_component(federation, domain):
    """A member with a component's domain; the component's port."""
    port = reserve_port()
    return PosternMember(federation, domain, also=(f"rooms.{domain}",),
                         extra=COMPONENTS.format(port=port, domain=domain)), port


def test_components(federation, company):
    """They talk to other servers' users and components, on the streams of the hosts beside them."""
    (_, one), (_, other) = with_component(federation, OURS), with_component(federation, THEIRS)
    federation.start()
    juliet, romeo = company.enter(f"juliet@{OURS}"), company.enter(f"romeo@{THEIRS}")
    with Component(one, f"rooms.{OURS}", "a secret of it") as ours, Component(
            other, f"rooms.{THEIRS}", "a secret of it") as theirs:
        exchange(juliet, romeo)
        for writer, reader in itertools.permutations((juliet, romeo, ours, theirs), 2):
            writer.send_message(reader.jid, f"from {writer.jid}")
            assert reader.expect("message", frm=writer.jid, to=reader.jid).findtext("{*}body") == f"from {writer.jid}"
        for asking, asked in ((juliet, theirs), (theirs, ours)):
            id = asking.send_iq("get", "<query xmlns='urn:example:question'/>", asked.jid)
            asked.expect("iq", "get", asking.jid, id=id)
            asked.send_iq("result", "", asking.jid, id=id)
            asking.expect("iq", "result", asked.jid, id=id)
        pairs = [line.split() for line in federation.members[OURS].backend.ctl("s2s", "list").splitlines()]
        joined = [pair for pair in pairs if pair[:2] == [f"rooms.{THEIRS}", f"rooms.{OURS}"] and "dialback" in pair]
        assert joined, f"on the stream that {OURS} had opened: {pairs}"


def test_two_domains_on_one_stream_to_us(federation, company):
    ours = PosternMember(federation, OURS)
    files = federation.authority.server("c.example", "d.example").files
    federation.start()
    juliet = company.enter(f"juliet@{OURS}")
    with RawServer("c.example", files=files) as server:
        link = server.connect(ours.address, ours.port, OURS)
        link.external()
        link.dialback(local="d.example")
        for domain in ("c.example", "d.example"):
            link.send_message(juliet.jid, "hello", from_=f"somebody@{domain}")
            juliet.expect("message", frm=f"somebody@{domain}", body="hello")
        link.send_message(juliet.jid, "hello", from_="somebody@e.example")
        assert link.stream_error()[0] == "invalid-from"
