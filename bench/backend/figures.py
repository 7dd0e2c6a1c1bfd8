"""What the backend costs, on its own: CPU time for a message and a login, memory for a session, an idle process.

Run by `scripts/bench backend`.  The figures are of the server alone: CPU time from the kernel's accounting of its
threads.  The clients are those of the flow tests."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "flow"))

from harness.crowd import raise_descriptor_limit  # noqa: E402
from harness.process import Process  # noqa: E402
from harness.pp2 import ALPN, AUTHORITY, build, ssl, tlv  # noqa: E402
from harness.rawxmpp import RawClient, TerminatedClient  # noqa: E402
from harness.site import DOMAIN, Site  # noqa: E402
from harness.stage import PASSWORD, Stage, local_name  # noqa: E402
import servers  # noqa: E402

CONTACTS = 10
WARM_UP = 100


def cpu_ns(pid):
    """CPU time of all threads so far, those that have ended left out."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


def memory(pid, kind):
    """Rss: with all of the libraries, as if alone on the machine.  Pss: with its share of them.  Private_Dirty: what is
    its own alone, whoever else runs."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(kind)


def wakeups(pid):
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


class Run:
    def __init__(self, shards):
        self.site = Site(backend_extra=f"shards = {shards}\nmax-connections = 6000\nlog {{ level = warn }}\n")
        self.certificate()
        began = time.monotonic()
        Process.start(self.site.backend)
        self.wait_port()
        self.ready_ms = (time.monotonic() - began) * 1000
        self.pid = self.site.backend.popen.pid
        self.ready_cpu_ms = cpu_ns(self.pid) / 1e6

    def certificate(self):
        """RSA with 2048 bits, which costs most and is still what many have."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.site.key, "-out",
                        self.site.cert, "-days", "30", "-subj", f"/CN={DOMAIN}", "-addext",
                        f"subjectAltName=DNS:{DOMAIN}"], check=True, capture_output=True)

    def wait_port(self):
        path = self.site.backend.terminated
        while not path.exists():
            time.sleep(0.0005)

    def idle(self):
        time.sleep(1)
        before = wakeups(self.pid)
        time.sleep(5)
        return {"ready_ms": round(self.ready_ms, 1), "ready_cpu_ms": round(self.ready_cpu_ms, 1),
                "idle_rss_mib": self.memory_mib("Rss"), "idle_pss_mib": self.memory_mib("Pss"),
                "idle_wakeups_in_5_s": wakeups(self.pid) - before}

    def memory_mib(self, kind):
        return round(memory(self.pid, kind) / 2**20, 2)

    def logins(self, count):
        with Stage(self.site) as stage:
            stage.account("user1")
            before = 0
            for i in range(count + 3):
                if i == 3:  # the first ones pay for what all share
                    before = cpu_ns(self.pid)
                client = stage.connect()
                client.login("user1", PASSWORD, DOMAIN, mechanism="SCRAM-SHA-512")
                client.leave()
            return {"login_ms": round((cpu_ns(self.pid) - before) / count / 1e6, 3)}

    def messages(self, count, window, sm):
        with Stage(self.site) as stage:
            romeo, juliet = stage.enter("user1"), stage.enter("user2")
            if sm:
                for actor in romeo, juliet:
                    assert local_name(actor.command("<enable xmlns='urn:xmpp:sm:3'/>")) == "enabled"
            one = f"<message to='{juliet.jid}' type='chat' id='m'><body>Two households, both alike in dignity</body></message>"
            self.exchange(romeo, juliet, one, window, 200, sm, 0)
            before = cpu_ns(self.pid)
            self.exchange(romeo, juliet, one, window, count, sm, 200)
            return {f"message_us_window_{window}{'_sm' if sm else ''}": round((cpu_ns(self.pid) - before) / count / 1e3, 2)}

    @staticmethod
    def exchange(romeo, juliet, one, window, count, sm, already):
        """window messages are sent, and awaited, and so on."""
        got = 0
        for _ in range(0, count, window):
            romeo.send(one * window)
            wanted = got + window
            while got < wanted:
                if local_name(juliet.next()) == "message":
                    got += 1
            if sm:
                juliet.send(f"<a xmlns='urn:xmpp:sm:3' h='{already + got}'/>")

    def roster(self, count):
        """A roster of 200, asked for again and again."""
        with Stage(self.site) as stage:
            actor = stage.enter("many")
            for n in range(200):
                actor.request("set", f"<query xmlns='jabber:iq:roster'><item jid='contact{n}@example.org' name='Contact {n}'>"
                                     "<group>Friends</group></item></query>")
            before = cpu_ns(self.pid)
            for _ in range(count):
                assert len(actor.request("get", "<query xmlns='jabber:iq:roster'/>")[0]) == 200
            return {"roster_of_200_us": round((cpu_ns(self.pid) - before) / count / 1e3)}

    def offline(self, count):
        """Messages to somebody who is away, until all are stored; and what it costs when they come for them."""
        with Stage(self.site) as stage:
            romeo = stage.enter("user1")
            stage.account("away")
            assert local_name(romeo.command("<enable xmlns='urn:xmpp:sm:3'/>")) == "enabled"
            before = cpu_ns(self.pid)
            for _ in range(count):
                romeo.send_message(f"away@{DOMAIN}", "Two households, both alike in dignity")
            romeo.send("<r xmlns='urn:xmpp:sm:3'/>")
            while romeo.next().get("h") != str(count):
                pass  # what is acknowledged is stored
            stored = cpu_ns(self.pid)
            away = stage.connect()
            away.login("away", PASSWORD, DOMAIN)
            away.send("<presence/>")
            for _ in range(count):
                while local_name(away.next()) != "message":
                    pass
            return {"offline_store_us": round((stored - before) / count / 1e3, 1),
                    "offline_deliver_us": round((cpu_ns(self.pid) - stored) / count / 1e3, 1)}

    def login(self, name, direct=False):
        if direct:
            client = RawClient("127.0.0.1", self.site.c2s_direct).start_tls(sni=DOMAIN, alpn=["xmpp-client"])
            client.login(name, PASSWORD, DOMAIN, mechanism="SCRAM-SHA-1", resource="a")
            return client
        header = build(ssl() + tlv(AUTHORITY, DOMAIN.encode()) + tlv(ALPN, b"xmpp-client"))
        client = TerminatedClient(self.site.backend.terminated, header)
        client.login(name, PASSWORD, DOMAIN, mechanism="SCRAM-SHA-1", resource="a")
        return client

    def sessions(self, count, direct=False):
        """Without TLS of ours, as a gateway that terminates TLS hands them over, what is left is the session."""
        names = [f"idle{i}" for i in range(WARM_UP + count)]
        for name in names:
            self.site.add_account(name, PASSWORD)
            client = self.login(name)  # the quicker way
            for n in range(CONTACTS):
                answer = client.command(f"<iq type='set' id='{n}'><query xmlns='jabber:iq:roster'><item jid='contact{n}@example.org' "
                                        f"name='Contact {n}'><group>Friends</group></item></query></iq>")
                assert answer.get("type") == "result"
            client.tcp.close()
        clients = []
        for i, name in enumerate(names):
            if i == WARM_UP:  # those before have filled what all share
                time.sleep(1)
                before = memory(self.pid, "Private_Dirty")
            client = self.login(name, direct)
            assert len(client.command("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")[0]) == CONTACTS
            client.send("<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                        "node='https://example.org' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>")
            clients.append(client)
        time.sleep(1)
        used = memory(self.pid, "Private_Dirty") - before
        for client in clients:
            client.tcp.close()
        return {f"idle_{'tls_' if direct else ''}session_bytes": round(used / count)}

    def stop(self):
        self.site.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--shards", type=int, default=1)
    arguments = parser.parse_args()
    raise_descriptor_limit(4000)
    scale = 1 if arguments.quick else 4
    rounds = []
    for _ in range(1 if arguments.quick else 3):
        run = Run(arguments.shards)
        try:
            figures = run.idle()
            figures.update(run.logins(50 * scale))
            for window in 1, 16:
                figures.update(run.messages(4000 * scale, window, sm=False))
            figures.update(run.messages(4000 * scale, 16, sm=True))
            figures.update(run.roster(50 * scale))
            figures.update(run.offline(90))
            figures.update(run.sessions(100 * scale))
            figures.update(run.sessions(100 * scale, direct=True))
            figures["worked_rss_mib"] = run.memory_mib("Rss")
        finally:
            run.stop()
        for window in 1, 16:
            figures.update(servers.relay(cpu_ns, Run.exchange, arguments.shards, 4000 * scale, window))
        figures.update(servers.idle_streams(memory, arguments.shards, 50, 75 * scale))
        figures.update(servers.unreachable(cpu_ns, memory, arguments.shards, 2000))
        rounds.append(figures)
        print(json.dumps(figures), flush=True)
    print(json.dumps({"median": {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}}))


main()
