"""Clients and libraries that people use, two at once on one account: log-in, roster, subscriptions, presence, messages
sent while nobody is there, stream management and its resumption.  slixmpp, aioxmpp, and libstrophe's own examples, of
Debian's packages; profanity has a file of its own."""

import asyncio
import pathlib
import socket
import subprocess

import aioxmpp
import aioxmpp.dispatcher
import pytest

from harness.client import Client
from harness.ports import reserve_port
from harness.process import Process
from harness.site import DOMAIN, PASSWORDS, XMPPS
from harness.wait import PATIENCE_S, wait_until

EXAMPLES = pathlib.Path("/usr/share/doc/libstrophe-dev/examples")
JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"
COMPONENT, SECRET = "echo.example.test", "a-shared-secret"
COMPONENT_PORT = reserve_port()
BACKEND_EXTRA = f"""
listener "components" {{ address = "127.0.0.1:{COMPONENT_PORT}" serve = components }}
component "{COMPONENT}" {{ secret = "{SECRET}" }}
"""


@pytest.fixture
def server(backend_site):
    for local, password in PASSWORDS.items():
        backend_site.add_account(local, password)
    return backend_site


async def soon(condition, what):
    """Wait for a condition while the clients go on."""
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < end, f"not within {PATIENCE_S} s: {what}"
        await asyncio.sleep(0.02)
    return value


# slixmpp

class Slixmpp(Client):
    def __init__(self, jid, cert):
        super().__init__(jid, PASSWORDS[jid.split("@")[0]], cert)
        self.register_plugin("xep_0198")
        self.seen = []
        self.auto_authorize = self.auto_subscribe = True
        self.add_event_handler("changed_status", lambda presence: self.seen.append(
            (presence["from"].full, presence["type"])))

    async def enter(self, server):
        await self.connect_to("127.0.0.1", server.c2s_direct, sni=XMPPS)
        await self.get_roster()
        return self


def test_slixmpp(server):
    async def run():
        async with Slixmpp(f"{JULIET}/one", server.cert) as one, Slixmpp(f"{JULIET}/two", server.cert) as two, \
                Slixmpp(f"{ROMEO}/far", server.cert) as romeo:
            for client in (one, two, romeo):
                await client.enter(server)
                assert client["xep_0198"].enabled_in
            romeo.send_presence_subscription(JULIET)
            for client, other in ((one, ROMEO), (two, ROMEO), (romeo, JULIET)):
                await soon(lambda: client.client_roster[other]["subscription"] == "both", "subscribed both ways")
            await soon(lambda: {(f"{JULIET}/one", "available"), (f"{JULIET}/two", "available")} <= set(romeo.seen),
                       "both resources are seen")
            await romeo.chat(one, "to one")
            await romeo.chat(two, "to the other")
            two.send_presence(ppriority=5)
            await two.ping()
            romeo.send_message(mto=JULIET, mbody="to the more available", mtype="chat")
            assert (await two.receive())["body"] == "to the more available"
            assert one.inbox.empty()
        async with Slixmpp(f"{ROMEO}/far", server.cert) as romeo:
            await romeo.enter(server)
            for at in range(5):
                romeo.send_message(mto=JULIET, mbody=f"later {at}", mtype="chat")
            await romeo.ping()
        async with Slixmpp(f"{JULIET}/three", server.cert) as juliet:
            await juliet.enter(server)
            assert juliet.client_roster[ROMEO]["subscription"] == "both"
            assert [(await juliet.receive())["body"] for _ in range(5)] == [f"later {at}" for at in range(5)]

    asyncio.run(run())


# aioxmpp

class Aioxmpp:
    """async with Aioxmpp(server, jid) as client: ...; direct TLS or STARTTLS."""

    def __init__(self, server, jid, starttls=False):
        connector = aioxmpp.connector.STARTTLSConnector() if starttls else aioxmpp.connector.XMPPOverTLSConnector()
        port = server.c2s if starttls else server.c2s_direct
        self.client = aioxmpp.PresenceManagedClient(
            aioxmpp.JID.fromstr(jid), aioxmpp.make_security_layer(PASSWORDS[jid.split("@")[0]], no_verify=True),
            override_peer=[("127.0.0.1", port, connector)])
        self.roster = self.client.summon(aioxmpp.RosterClient)
        self.presence = self.client.summon(aioxmpp.PresenceClient)
        self.inbox, self.requests = asyncio.Queue(), []
        dispatcher = self.client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        dispatcher.register_callback(None, None, self.inbox.put_nowait)
        self.roster.on_subscribe.connect(self._subscribe)

    def _subscribe(self, stanza):
        self.requests.append(stanza.from_)
        self.roster.approve(stanza.from_)

    async def __aenter__(self):
        self.connected = self.client.connected(presence=aioxmpp.PresenceState(True))
        self.stream = await asyncio.wait_for(self.connected.__aenter__(), PATIENCE_S)
        return self

    async def __aexit__(self, *error):
        await asyncio.wait_for(self.connected.__aexit__(*error), PATIENCE_S)

    def subscription(self, jid):
        item = self.roster.items.get(aioxmpp.JID.fromstr(jid))
        return item and item.subscription

    async def send(self, to, text):
        """Returns when the server has acknowledged it."""
        message = aioxmpp.Message(aioxmpp.MessageType.CHAT, to=aioxmpp.JID.fromstr(str(to)))
        message.body[None] = text
        await asyncio.wait_for(self.client.send(message), PATIENCE_S)

    async def receive(self):
        return (await asyncio.wait_for(self.inbox.get(), PATIENCE_S)).body.any()


@pytest.fixture
def fresh(server):
    """Two accounts that nobody has used."""
    names = [f"user{server.c2s}-{len(server.accounts)}-{at}" for at in range(2)]
    for name in names:
        PASSWORDS[name] = "a-password-for-the-moment"
        server.add_account(name, PASSWORDS[name])
    yield [f"{name}@{DOMAIN}" for name in names]
    for name in names:
        del PASSWORDS[name]


def test_aioxmpp(server, fresh):
    one_jid, other_jid = fresh

    async def run():
        async with Aioxmpp(server, f"{one_jid}/a") as a, Aioxmpp(server, f"{one_jid}/b", starttls=True) as b, \
                Aioxmpp(server, f"{other_jid}/far") as far:
            assert a.stream.sm_enabled and b.stream.sm_enabled and far.stream.sm_enabled
            far.roster.subscribe(aioxmpp.JID.fromstr(one_jid))
            await soon(lambda: far.subscription(one_jid) == "to", "subscribed")
            assert set(a.requests + b.requests) == {aioxmpp.JID.fromstr(other_jid)}
            await soon(lambda: {a.client.local_jid.resource, b.client.local_jid.resource} == set(
                far.presence.get_peer_resources(aioxmpp.JID.fromstr(one_jid))), "both resources are seen")
            await soon(lambda: a.subscription(other_jid) == b.subscription(other_jid) == "from", "pushed to both")
            for at in range(20):
                await far.send(a.client.local_jid, f"a {at}")
                await b.send(far.client.local_jid, f"b {at}")
            assert [await a.receive() for _ in range(20)] == [f"a {at}" for at in range(20)]
            assert [await far.receive() for _ in range(20)] == [f"b {at}" for at in range(20)]
            # The connection breaks; the stream is resumed and what was on its way arrives once.
            a.stream._xmlstream.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            for at in range(10):
                await far.send(a.client.local_jid, f"meanwhile {at}")
            assert [await a.receive() for _ in range(10)] == [f"meanwhile {at}" for at in range(10)]
        async with Aioxmpp(server, f"{other_jid}/far") as far:
            for at in range(5):
                await far.send(one_jid, f"later {at}")
        async with Aioxmpp(server, f"{one_jid}/a") as a:
            assert [await a.receive() for _ in range(5)] == [f"later {at}" for at in range(5)]

    asyncio.run(run())
    assert server.backend.log(event="stream_resumed", jid=f"{one_jid}/a")


# libstrophe's examples

@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The programs, built as their package says."""
    if not (EXAMPLES / "bot.c").exists():
        pytest.skip(f"{EXAMPLES} is not there: this system leaves out the documentation of packages")
    folder = tmp_path_factory.mktemp("strophe")
    for name in ("bot", "component"):
        subprocess.run(["cc", "-w", "-o", folder / name, EXAMPLES / f"{name}.c", "-lstrophe"], check=True)
    return folder


class Example(Process):
    """A program of libstrophe's that runs."""

    def __init__(self, examples, name, *arguments, home):
        super().__init__(name, [examples / name, *map(str, arguments)], home / f"{name}-{len(list(home.iterdir()))}.log")
        self.start()

    def wait_text(self, text, count=1):
        wait_until(lambda: self.log_text().count(text) >= count, lambda: f"{text!r} in\n{self.log_text()[-3000:]}")


def bot(examples, server, jid, tmp_path, *flags):
    port = server.c2s_direct if "--legacy-ssl" in flags else server.c2s
    return Example(examples, "bot", "--jid", jid, "--pass", PASSWORDS[jid.split("@")[0]], "--trust-tls", *flags,
                   "127.0.0.1", port, home=tmp_path)


def test_libstrophe(server, examples, tmp_path):
    one = bot(examples, server, f"{JULIET}/bot1", tmp_path, "--mandatory-tls")
    two = bot(examples, server, f"{JULIET}/bot2", tmp_path, "--legacy-ssl")
    try:
        for program in (one, two):
            program.wait_text("connected")
            program.wait_text("<enabled")

        async def talk():
            async with Client(f"{ROMEO}/far", PASSWORDS["romeo"], server.cert) as romeo:
                await romeo.connect_to("127.0.0.1", server.c2s_direct, sni=XMPPS)

                async def say(to, text):
                    romeo.send_message(mto=to, mbody=text, mtype="chat")
                    answer = await romeo.receive()
                    return answer["from"].full, answer["body"]

                for name in ("bot1", "bot2"):
                    for at in range(10):
                        assert await say(f"{JULIET}/{name}", f"hello {at}") == (
                            f"{JULIET}/{name}", f"hello {at} to you too!")

        asyncio.run(talk())
        assert one.running() and two.running()
    finally:
        for program in (one, two):
            program.kill()


def test_libstrophes_component(server, examples, tmp_path):
    program = Example(examples, "component", COMPONENT, SECRET, "127.0.0.1", COMPONENT_PORT, home=tmp_path)
    try:
        program.wait_text("connected")
    finally:
        program.kill()
