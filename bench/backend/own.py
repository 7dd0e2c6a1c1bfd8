"""What is measured of Postern alone, for want of peers that have the like or can be told to: its streams with other
servers, domains that cannot be reached, long rosters, messages for those who are away, stream management.

The clients and the other servers are those of the flow tests, which cost more than the server, so only what the server
uses is read."""

import os
import sys
import time

from bench.backend.drive import wait_quiet
from bench.backend.scenarios import Chat
from bench.common import result, rounds
from bench.common.accounting import cpu_ns, memory
from bench.common.place import ROOT

sys.path.insert(0, str(ROOT / "tests" / "flow"))

DOMAIN = "example.test"
QUIET = "shards = 1\nmax-connections = 6000\n"
WORDS = "Two households, both alike in dignity"
AT_ONCE = 50
LATE_MS = 45 * 60 * 1000  # from one attempt to the next, once there have been many: 30 to 60 minutes
CONTACTS = 200


def pin(pid, cpus):
    """A server with all its threads."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cpus)


def private_dirty(pid):
    return memory([pid])["Private_Dirty"]


class Own:
    """metrics and measure(place) of one run; the server is started in each."""

    key = title = ""
    metrics = {}

    def __init__(self, sizes):
        self.parameters = self.size = sizes.get(self.key, {})
        self.rounds = sizes["rounds"]

    def measure(self, place):
        raise NotImplementedError

    def run(self, session, count):
        os.environ["POSTERN_BIN"] = str(session.place.build)  # of the flow tests' harness
        found = []
        for number in range(count):
            found.append(self.measure(session.place))
            rounds.show(self.key, number, count, "postern", found[-1])
        return {self.key: result.figure(self.title, self.metrics, {"postern": found})}, {}


class Straight:
    """Instead of a wire that can be cut."""

    def __init__(self, to):
        self.port = to

    def mend(self):
        pass

    def cut(self):
        pass


class Relay(Own):
    key, title = "own-relay", "messages between two servers"
    metrics = {f"{way}_{window}_us": (f"CPU of the server that a message {does}, {window} at once", "us", True)
               for window in (1, 16) for way, does in (("out", "leaves"), ("in", "comes to"))}

    def measure(self, place):
        from harness.pair import Pair
        pair = Pair(QUIET, wire=Straight)
        try:
            pids = {"out": pair.near.backend.popen.pid, "in": pair.far.backend.popen.pid}
            for pid in pids.values():
                pin(pid, place.server_cpus)
            romeo, juliet = pair.enter("romeo@near.example"), pair.enter("juliet@far.example")
            found = {}
            for window in 1, 16:
                exchange(romeo, juliet, window, self.size["warm_up"])
                before = {way: cpu_ns([pid]) for way, pid in pids.items()}
                exchange(romeo, juliet, window, self.size["messages"])
                wait_quiet(pids.values)
                for way, pid in pids.items():
                    found[f"{way}_{window}_us"] = (cpu_ns([pid]) - before[way]) / self.size["messages"] / 1e3
            return found
        finally:
            pair.end()


def exchange(romeo, juliet, window, count):
    """So many are sent, and awaited, and so on."""
    from harness.stage import local_name
    one = f"<message to='{juliet.jid}' type='chat' id='m'><body>{WORDS}</body></message>"
    for _ in range(0, count, window):
        romeo.send(one * window)
        for _ in range(window):
            while local_name(juliet.next()) != "message":
                pass


class Lone:
    """A backend, other servers that the tests play, and some that nobody does."""

    def __init__(self, place):
        from harness.place import Place
        from harness.ports import reserve_port
        from harness.postern import Backend
        self.place, self.port, self.c2s, self.theirs = Place(), reserve_port(), reserve_port(), reserve_port()
        cert, key = self.place.certificate("site", [DOMAIN])
        self.files = self.place.certificate("peers", ["*.peers.test"])
        self.backend = Backend(self.place, QUIET + f"""
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
        pin(self.pid, place.server_cpus)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.backend.stop()
        self.place.remove()

    def account(self, name):
        from harness.stage import PASSWORD
        self.backend.add_user(f"{name}@{DOMAIN}", PASSWORD)

    def enter(self, name):
        from harness.stage import PASSWORD, Actor
        actor = Actor("127.0.0.1", self.c2s).start_tls(sni=DOMAIN)
        actor.login(name, PASSWORD, DOMAIN, mechanism="PLAIN")
        return actor

    def server(self, domain="server.peers.test"):
        from harness.rawserver import RawServer
        return RawServer(domain, "127.0.0.1", self.theirs, self.files)

    def count(self, name):
        return self.backend.counter(name)


class Streams(Own):
    key, title = "own-streams", "idle streams with other servers, over TLS, with stream management"
    metrics = {"in_bytes": ("memory of one that another server opened", "bytes", True),
               "out_bytes": ("of one that we opened", "bytes", True)}

    def measure(self, place):
        with Lone(place) as lone, lone.server() as server:
            come = self._grown(lone, lambda number: self._come(lone, server, number))
        with Lone(place) as lone, lone.server() as server:
            lone.account("romeo")
            with lone.enter("romeo") as romeo:
                romeo.available()
                go = self._grown(lone, lambda number: self._go(romeo, server, number))
        return {"in_bytes": come, "out_bytes": go}

    def _grown(self, lone, open_one):
        """How much memory one more takes, once those before have filled what all share."""
        for number in range(self.size["first"] + self.size["streams"]):
            if number == self.size["first"]:
                time.sleep(self.size["settle"])
                before = private_dirty(lone.pid)
            open_one(number)
        time.sleep(self.size["settle"])
        return (private_dirty(lone.pid) - before) / self.size["streams"]

    @staticmethod
    def _come(lone, server, number):
        link = server.connect("127.0.0.1", lone.port, DOMAIN, from_=f"come{number}.peers.test")
        link.external()
        link.enable()
        link.send_presence("unavailable", f"nobody@{DOMAIN}")
        assert link.ask() == 1

    @staticmethod
    def _go(romeo, server, number):
        from harness.stage import local_name
        server.domain = f"go{number}.peers.test"
        romeo.send_message(f"juliet@{server.domain}", WORDS)
        link = server.accept()
        assert local_name(link.next_of("message")) == "message"
        link.ack()


class Unreachable(Own):
    """With a message each; they refuse the connection."""

    key, title = "own-unreachable", "domains that cannot be reached"
    metrics = {"domain_bytes": ("memory of each, with a message that waits", "bytes", True),
               "attempt_us": ("CPU for an attempt", "us", True),
               "percent_of_2000": ("of a core, for 2,000 with an attempt in 45 minutes each", "%", True)}

    def measure(self, place):
        with Lone(place) as lone:
            lone.account("romeo")
            with lone.enter("romeo") as romeo:
                self._send(romeo, lone, "early", self.size["first"])
                before = private_dirty(lone.pid)
                self._send(romeo, lone, "late", self.size["domains"])
                kept = private_dirty(lone.pid) - before
                cpu, tries = cpu_ns([lone.pid]), lone.count("s2s_failed")
                time.sleep(self.size["seconds"])
                tries = lone.count("s2s_failed") - tries
                attempt_us = (cpu_ns([lone.pid]) - cpu) / max(tries, 1) / 1e3
        return {"domain_bytes": kept / self.size["domains"], "attempt_us": attempt_us, "attempts": tries,
                "percent_of_2000": 100 * 2000 * attempt_us / 1e3 / LATE_MS}

    @staticmethod
    def _send(romeo, lone, name, count):
        """A message to each, some at a time; they are stored on return."""
        from harness.wait import wait_until
        stored = lone.count("s2s_queued")
        for begin in range(0, count, AT_ONCE):
            for number in range(begin, begin + AT_ONCE):
                romeo.send_message(f"juliet@{name}{number}.down.test", WORDS)
            stored += AT_ONCE
            wait_until(lambda: lone.count("s2s_queued") >= stored, "the messages are stored")


class Roster(Own):
    key, title = "own-roster", f"a roster of {CONTACTS} asked for"
    metrics = {"us": ("CPU", "us", True)}

    def measure(self, place):
        with Lone(place) as lone:
            lone.account("romeo")
            with lone.enter("romeo") as romeo:
                for number in range(CONTACTS):
                    romeo.request("set", f"<query xmlns='jabber:iq:roster'><item jid='contact{number}@example.org' "
                                         f"name='Contact {number}'><group>Friends</group></item></query>")
                before = cpu_ns([lone.pid])
                for _ in range(self.size["times"]):
                    assert len(romeo.request("get", "<query xmlns='jabber:iq:roster'/>")[0]) == CONTACTS
                return {"us": (cpu_ns([lone.pid]) - before) / self.size["times"] / 1e3}


class Offline(Own):
    key, title = "own-offline", "messages to somebody who is away"
    metrics = {"store_us": ("CPU until each is stored", "us", True),
               "deliver_us": ("CPU until each is delivered, with its share of the login", "us", True)}

    def measure(self, place):
        from harness.stage import local_name
        count = self.size["messages"]
        with Lone(place) as lone:
            for name in "romeo", "away":
                lone.account(name)
            with lone.enter("romeo") as romeo:
                assert local_name(romeo.command("<enable xmlns='urn:xmpp:sm:3'/>")) == "enabled"
                before = cpu_ns([lone.pid])
                for _ in range(count):
                    romeo.send_message(f"away@{DOMAIN}", WORDS)
                romeo.send("<r xmlns='urn:xmpp:sm:3'/>")
                while romeo.next().get("h") != str(count):
                    pass  # what is acknowledged is stored
                stored = cpu_ns([lone.pid])
                with lone.enter("away") as away:
                    away.send("<presence/>")
                    for _ in range(count):
                        while local_name(away.next()) != "message":
                            pass
                    delivered = cpu_ns([lone.pid])
        return {"store_us": (stored - before) / count / 1e3, "deliver_us": (delivered - stored) / count / 1e3}


class Managed(Chat):
    key, title, windows, alone = "own-sm", "one-to-one chat with stream management on both sides", (16,), True
    parts = {"16": ", 16 at once in each pair"}
    generator_options = ("--sm",)


OWN = (Managed, Relay, Streams, Unreachable, Roster, Offline)
