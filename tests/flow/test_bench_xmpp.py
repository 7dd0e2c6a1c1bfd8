"""The load generator for XMPP servers (bench/backend): it can do what it says, and believes nothing."""

import contextlib
import json
import re
import select
import socketserver
import subprocess
import threading

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.process import BIN
from harness.tcp import connect
from harness.wait import PATIENCE_S

DOMAIN, PASSWORD, USERS, CONTACTS = "example.test", "parting is such sweet sorrow", 6, 2


class Server:
    """A backend with a ring of friends, with and without TLS."""

    def __init__(self):
        self.place = Place()
        self.ports = {"none": reserve_port(), "direct": reserve_port()}
        cert, key = self.place.certificate("site", [DOMAIN])
        self.backend = Backend(self.place, f"""
            unlimited-sources = {{"127.0.0.0/8"}}
            scram-iterations = 4096
            listener "plain" {{ address = "127.0.0.1:{self.ports['none']}" tls = none allow-plain = true }}
            listener "direct" {{ address = "127.0.0.1:{self.ports['direct']}" tls = direct }}
            host "{DOMAIN}" {{ certificate = "{cert}" key = "{key}" offline-messages = 0 }}
            """)
        self.backend.start()
        for user in range(USERS):
            self.backend.add_user(f"user{user}@{DOMAIN}", PASSWORD)
        for user in range(USERS):
            for contact in user - 1, user + 1:
                self.backend.ctl("roster", "add", f"user{user}@{DOMAIN}", f"user{contact % USERS}@{DOMAIN}",
                                 "subscription=both")

    def stop(self):
        self.backend.stop()
        self.place.remove()


@pytest.fixture(scope="module")
def server():
    one = Server()
    try:
        yield one
    finally:
        one.stop()


@contextlib.contextmanager
def generator(port, *options, tls="none"):
    """A function that gives it a command, and returns its answer."""
    process = subprocess.Popen(
        [BIN / "bench" / "bench-xmpp", "--to", f"127.0.0.1:{port}", "--tls", tls, "--domain", DOMAIN, "--password",
         PASSWORD, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(command):
        process.stdin.write(command + "\n")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], PATIENCE_S)[0], f"no answer to {command}"
        return json.loads(process.stdout.readline())

    try:
        yield do
        process.stdin.close()
        do.status = process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def count_of(latency):
    """What a histogram says must agree with itself."""
    assert sum(count for _, count in latency["histogram"]) == latency["count"]
    assert latency["min_us"] <= latency["p50_us"] <= latency["p99_us"] <= latency["max_us"]
    return latency["count"]


@pytest.mark.release
@pytest.mark.parametrize("tls, options", [("direct", ()), ("direct", ("--sm",)), ("none", ("--mechanism", "PLAIN"))],
                         ids=["TLS", "stream management", "plain"])
def test_every_command(server, tls, options):
    keys = server.place.path / "keys"
    with generator(server.ports[tls], "--keys", keys, *options, tls=tls) as do:
        def done(command):
            answer = do(command)
            assert answer["ok"], answer
            return answer

        assert count_of(done(f"login 0 {USERS} 3")["latency"]) == USERS
        assert count_of(done("logout")["latency"]) == USERS
        again = done(f"login_rate 0 {USERS} 100")
        assert (count_of(again["latency"]), count_of(again["late"]), again["derived"]) == (USERS, USERS, 0)
        assert count_of(done(f"roster {CONTACTS}")["latency"]) == USERS
        come = done(f"available {CONTACTS}")
        assert (count_of(come["latency"]), come["count"]) == (USERS * CONTACTS, USERS)
        assert come["received"] >= USERS * CONTACTS
        assert count_of(done("chat 3 1 50")["latency"]) == 50
        assert count_of(done("chat 2 16 300")["latency"]) == 300
        rate = done("chat_rate 3 500 0.2")
        assert count_of(rate["latency"]) == count_of(rate["late"]) == rate["count"] > 30
        for _ in range(2):
            day = done(f"mixed 0.5 {CONTACTS} 100 100 100 30 40")
            kinds = [day[kind] for kind in ("letters", "presences", "queries", "logins", "keepalives")]
            assert sum(kinds) == day["count"] and day["count"] + day["skipped"] > 90
            assert min(day["letters"], day["presences"], day["queries"], day["logins"]) > 0
            assert count_of(day["latency"]) == day["letters"]
            assert count_of(day["login_latency"]) == day["logins"]
            assert count_of(day["query_latency"]) == day["answers"] == day["queries"] + 2 * day["logins"]
            assert day["presences_received"] >= count_of(day["presence_latency"]) > 0
        assert any(done("idle 0.1")["presences"] == 0 for _ in range(100)), "it falls silent"
        assert done("logout")["sessions"] == 0
    assert do.status == 0


OPENED, CLOSED = re.compile(rb"<(?:message|presence|iq)\b[^>]*[^/]>"), re.compile(rb"</(?:message|presence|iq)>")


def whole(data):
    """Whether a piece of a stream ends between two stanzas."""
    return data.endswith(b">") and len(OPENED.findall(data)) == len(CLOSED.findall(data))


class Liar(socketserver.ThreadingTCPServer):
    """Passes on what clients and the server say, but changes what the server says."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port, change):
        super().__init__(("127.0.0.1", 0), None)
        self.to, self.change = port, change

    def finish_request(self, client, _address):
        held = b""
        with contextlib.suppress(ConnectionError), connect(self.to) as server:
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is client:
                        server.sendall(data)
                        continue
                    held += data
                    if whole(held):
                        client.sendall(self.change(held))
                        held = b""


@contextlib.contextmanager
def lying(server, change):
    """The port of a liar."""
    with Liar(server.ports["none"], change) as liar:
        thread = threading.Thread(target=liar.serve_forever, daemon=True)
        thread.start()
        try:
            yield liar.server_address[1]
        finally:
            liar.shutdown()
            thread.join()


MESSAGE = re.compile(rb"<message .*?</message>")


def later(function, number=5):
    """Change the so-many-th message only."""
    seen = 0

    def change(data):
        def one(match):
            nonlocal seen
            seen += 1
            return function(match.group()) if seen == number else match.group()
        return MESSAGE.sub(one, data)
    return change


class Swap:
    """Holds back a message until another one has come."""

    def __init__(self):
        self.held, self.seen = b"", 0

    def __call__(self, message):
        self.seen += 1
        if self.seen == 3:
            self.held = message
            return b""
        held, self.held = self.held, b""
        return message + held


def every(function):
    return lambda data: MESSAGE.sub(lambda match: function(match.group()), data)


LIES = {
    "a letter": (later(lambda text: re.sub(rb"(body>.{38}\w+ )\w", rb"\1#", text)), "sentence was changed"),
    "a number": (later(lambda text: re.sub(rb"body>0000", b"body>0001", text)), "numbers were changed"),
    "an id": (later(lambda text: re.sub(rb"id='0000", b"id='0001", text).replace(b'id="0000', b'id="0001')), "id was changed"),
    "a sender": (later(lambda text: text.replace(b"user0@", b"user4@")), "wrong sender"),
    "an addressee": (later(lambda text: text.replace(b"user1@", b"user3@")), "to somebody else"),
    "missing": (later(lambda text: b""), "missing before this one"),
    "twice": (later(lambda text: text * 2), "came before"),
    "swapped": (every(Swap()), "missing before this one"),
    "an error": (later(lambda text: re.sub(rb"type=.chat.", b"type='error'", text)), "no chat message"),
    "no body": (later(lambda text: re.sub(rb"<body>.*</body>", b"", text)), "without a body"),
    "not XML": (later(lambda text: text + b"what?"), "not what a server may send"),
    "an unknown element": (later(lambda text: text + b"<what/>"), "unknown element"),
    "a stream error": (later(lambda text: text + b"<stream:error><undefined-condition/></stream:error>"), "stream error"),
    "the end": (later(lambda text: text + b"</stream:stream>"), "closed the connection"),
    "an answer": (later(lambda text: text + b"<iq type='result' id='x'/>"), "nobody awaits"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_in_a_chat(server, lie):
    change, why = LIES[lie]
    with lying(server, change) as port, generator(port) as do:
        assert do("login 0 2 2")["ok"]
        answer = do("chat 1 2 20")
        assert not answer["ok"] and why in answer["why"], answer
    assert do.status == 1


BEFORE = {
    "a contact less": (rb"<item [^>]*(/>|>.*?</item>)", b"", "contacts are missing", "roster"),
    "a contact of others": (rb"jid=(.)user[15]@", rb"jid=\1user99@", "a contact that is none", "roster"),
    "a contact without subscription": (rb"subscription=.both.", b"subscription='none'", "without subscription", "roster"),
    "a presence of a stranger": (rb"(<presence [^>]*from=.user)\d", rb"\g<1>99", "from nobody", "available"),
    "a server that knows no password": (rb"<success([^>]*)>dj[^<]*<", rb"<success\1>dj1mYWxzZQ==<", "does not know the password", "login"),
    "no such mechanism": (rb"SCRAM-SHA-256<", b"SCRAM-SHA-257<", "does not offer", "login"),
}


@pytest.mark.parametrize("lie", BEFORE)
def test_lies_before(server, lie):
    pattern, instead, why, where = BEFORE[lie]
    with lying(server, lambda data: re.sub(pattern, instead, data)) as port, generator(port) as do:
        for command in f"login 0 {USERS} 3", f"roster {CONTACTS}", f"available {CONTACTS}":
            answer = do(command)
            if not answer["ok"]:
                break
        assert command.split()[0] == where and why in answer["why"], (command, answer)
    assert do.status == 1


DAY = {
    "a letter twice": (rb"<message .*?</message>", lambda text: text * 2, "came before"),
    "an answer twice": (rb"<iq [^>]*?id=.q1.*?(</iq>|/>)", lambda text: text * 2, "an answer to no question"),
    "a presence changed": (rb"<status>.*?</status>", lambda text: text.replace(b" ", b"-"), "a presence that was changed"),
    "a presence of the future": (rb"<status>.*?</status>", lambda text: text.replace(b"0", b"9", 1), "that was changed"),
    "a presence missing": (rb"<presence (?:(?!</presence>).)*<status>00000002.*?</presence>", lambda text: b"",
                           "missing before this one"),
    "a presence of a stranger": (rb"<presence [^>]*from=.user", lambda text: text + b"9", "wrong sender"),
    "a letter of a stranger": (rb"<message [^>]*from=.user", lambda text: text + b"9", "wrong sender"),
    "a refusal": (rb"<iq [^>]*id=.q2[^>]*>", lambda text: text.replace(b"result", b"error"), "refused"),
}


@pytest.mark.parametrize("lie", DAY)
def test_lies_of_a_mixed_day(server, lie):
    pattern, function, why = DAY[lie]
    lies = threading.Event()

    def change(data):
        return re.sub(pattern, lambda match: function(match.group()), data) if lies.is_set() else data

    with lying(server, change) as port, generator(port) as do:
        for command in f"login 0 {USERS} 3", f"available {CONTACTS}":
            assert do(command)["ok"]
        lies.set()
        answer = do(f"mixed 2 {CONTACTS} 20 50 50 0 0")
        assert not answer["ok"] and why in answer["why"], answer
    assert do.status == 1
