"""What other servers cost the backend: a message that goes between a user and another server's domain, a stream that is
idle, domains that cannot be reached."""

import time

from harness.pair import Pair
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.rawserver import RawServer
from harness.stage import PASSWORD, Actor, local_name
from harness.wait import wait_until

DOMAIN = "example.test"
QUIET = "shards = {shards}\nmax-connections = 6000\n"
AT_ONCE = 50
LATE_MS = 45 * 60 * 1000  # from one attempt to the next, once there have been many: 30 to 60 minutes


class Straight:
    """Instead of a wire that can be cut."""

    def __init__(self, to):
        self.port = to

    def mend(self):
        pass

    def cut(self):
        pass


def relay(cpu_ns, exchange, shards, count, window):
    """{figure: µs} of the server that a message leaves, and of the one that it comes to, with the clients' TLS."""
    pair = Pair(QUIET.format(shards=shards), wire=Straight)
    try:
        romeo, juliet = pair.enter("romeo@near.example"), pair.enter("juliet@far.example")
        pids = {"out": pair.near.backend.popen.pid, "in": pair.far.backend.popen.pid}
        text = f"<message to='{juliet.jid}' type='chat' id='m'><body>Two households, both alike in dignity</body></message>"
        exchange(romeo, juliet, text, window, 200, False, 0)
        before = {way: cpu_ns(pid) for way, pid in pids.items()}
        exchange(romeo, juliet, text, window, count, False, 200)
        return {f"relay_{way}_us_window_{window}": round((cpu_ns(pid) - before[way]) / count / 1e3, 2)
                for way, pid in pids.items()}
    finally:
        pair.end()


class Lone:
    """A backend, other servers that the tests play, and some that nobody does."""

    def __init__(self, shards):
        self.place, self.port, self.c2s, self.theirs = Place(), reserve_port(), reserve_port(), reserve_port()
        cert, key = self.place.certificate("site", [DOMAIN])
        self.files = self.place.certificate("peers", ["*.peers.test"])
        self.backend = Backend(self.place, QUIET.format(shards=shards) + f"""
            s2s = true
            s2s-ca = "{self.files[0]}"
            unlimited-sources = {{"127.0.0.0/8"}}
            listener "c2s" {{ address = "127.0.0.1:{self.c2s}" tls = direct }}
            listener "s2s" {{ address = "127.0.0.1:{self.port}" serve = servers }}
            host "{DOMAIN}" {{ certificate = "{cert}" key = "{key}" }}
            remote "*.peers.test" {{ address = "127.0.0.1:{self.theirs}" }}
            remote "*.down.test" {{ address = "127.0.0.1:{reserve_port()}" }}
            """)
        self.backend.start()
        self.pid = self.backend.popen.pid

    def romeo(self):
        self.backend.add_user(f"romeo@{DOMAIN}", PASSWORD)
        actor = Actor("127.0.0.1", self.c2s).start_tls(sni=DOMAIN)
        actor.login("romeo", PASSWORD, DOMAIN, mechanism="PLAIN")
        return actor

    def server(self, domain="server.peers.test"):
        return RawServer(domain, "127.0.0.1", self.theirs, self.files)

    def stop(self):
        self.backend.stop()
        self.place.remove()


def idle_streams(memory, shards, warm_up, count):
    """Bytes of one over TLS, with stream management, on which something was said once: opened by another server, and
    by us."""
    figures, lone = {}, Lone(shards)
    try:
        with lone.server() as server:
            figures["idle_s2s_in_bytes"] = grown(memory, lone.pid, warm_up, count, lambda n: come(lone, server, n))
    finally:
        lone.stop()
    lone = Lone(shards)
    try:
        with lone.server() as server, lone.romeo() as romeo:
            romeo.available()
            figures["idle_s2s_out_bytes"] = grown(memory, lone.pid, warm_up, count, lambda n: go(romeo, server, n))
    finally:
        lone.stop()
    return figures


def grown(memory, pid, warm_up, count, open_one):
    """How much memory one more takes, once those before have filled what all share."""
    for n in range(warm_up + count):
        if n == warm_up:
            time.sleep(1)
            before = memory(pid, "Private_Dirty")
        open_one(n)
    time.sleep(1)
    return round((memory(pid, "Private_Dirty") - before) / count)


def come(lone, server, n):
    link = server.connect("127.0.0.1", lone.port, DOMAIN, from_=f"come{n}.peers.test")
    link.external()
    link.enable()
    link.send_presence("unavailable", f"nobody@{DOMAIN}")
    assert link.ask() == 1


def go(romeo, server, n):
    server.domain = f"go{n}.peers.test"
    romeo.send_message(f"juliet@{server.domain}", "Two households, both alike in dignity")
    link = server.accept()
    assert local_name(link.next_of("message")) == "message"
    link.ack()


def unreachable(cpu_ns, memory, shards, count):
    """Domains with a message each, that refuse the connection: what an attempt costs, what the memory is of a domain,
    and how busy 2,000 of them keep the server late, when there is an attempt in 45 minutes."""
    lone = Lone(shards)
    try:
        with lone.romeo() as romeo:
            send(romeo, lone, "early", 200)
            before = memory(lone.pid, "Private_Dirty")
            send(romeo, lone, "late", count)
            kept = memory(lone.pid, "Private_Dirty") - before
            cpu, tries = cpu_ns(lone.pid), failed(lone)
            time.sleep(30)
            attempt_us = (cpu_ns(lone.pid) - cpu) / (failed(lone) - tries) / 1e3
    finally:
        lone.stop()
    return {"unreachable_attempt_us": round(attempt_us, 1), "unreachable_domain_bytes": round(kept / count),
            "unreachable_2000_cpu_percent": round(100 * 2000 * attempt_us / 1e3 / LATE_MS, 4)}


def failed(lone):
    return lone.backend.counter("s2s_failed")


def send(romeo, lone, name, count):
    """A message to each, some at a time; they are stored on return."""
    stored = lone.backend.counter("s2s_queued")
    for begin in range(0, count, AT_ONCE):
        for n in range(begin, begin + AT_ONCE):
            romeo.send_message(f"juliet@{name}{n}.down.test", "Two households, both alike in dignity")
        stored += AT_ONCE
        wait_until(lambda: lone.backend.counter("s2s_queued") >= stored, "the messages are stored")
