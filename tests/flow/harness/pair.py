"""Two Posterns that talk to each other through a wire that can be cut."""

import selectors
import socket
import threading
import time

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend
from harness.stage import PASSWORD, Actor, Stage, bare

CONFIG = """
s2s = true
s2s-ca = "{ca}"
unlimited-sources = {{"127.0.0.0/8", "::1"}}
{extra}
listener "c2s-direct" {{ address = "127.0.0.1:{c2s_direct}" tls = direct }}
listener "s2s" {{ address = "127.0.0.1:{s2s}" serve = servers }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" {host_extra} }}
remote "{other}" {{ address = "127.0.0.1:{wire}" }}
"""


class Wire:
    """Takes connections on a port of its own and passes them on to another one."""

    def __init__(self, to, to_host="127.0.0.1", host="127.0.0.1"):
        self.port, self.host, self.to = reserve_port(), host, (to_host, to)
        self.listener, self.lock, self.pairs = None, threading.Lock(), []
        self.passes, self.rate = threading.Event(), None
        self.passes.set()

    def hold(self):
        """Nothing comes through, nor does a connection end: what is sent waits in the kernel, as behind a network
        that swallows packets."""
        self.passes.clear()

    def let_go(self):
        self.passes.set()

    def slow(self, rate):
        """Who listens there reads so many bytes a second on each connection; None: all that comes."""
        self.rate = rate

    def mend(self):
        with self.lock:
            self.listener = socket.create_server((self.host, self.port))
            listener = self.listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self):
        """Who is connected is so no longer, and nobody can be."""
        with self.lock:
            listener, self.listener, pairs = self.listener, None, self.pairs
            self.pairs = []
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in sum(pairs, ()):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.to)
            except OSError:
                near.close()
                continue
            with self.lock:
                if self.listener is not listener:
                    near.close()
                    far.close()
                    return
                self.pairs.append((near, far))
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        with selectors.DefaultSelector() as both, near, far:
            both.register(near, selectors.EVENT_READ, far)
            both.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in both.select():
                    self.passes.wait()
                    rate = self.rate
                    try:
                        data = key.fileobj.recv(rate // 50 if rate and key.fileobj is near else 65536)
                        if not data:
                            return
                        key.data.sendall(data)
                    except OSError:
                        return
                    if rate and key.fileobj is near:
                        time.sleep(0.02)


class Half:
    """One of the two: a backend, and the wire that leads to it."""

    def __init__(self, domain, wire):
        self.domain, self.place, self.accounts = domain, Place(), set()
        self.s2s, self.c2s_direct = reserve_port(), reserve_port()
        self.cert, self.key = self.place.certificate("site", [domain])
        self.wire = wire(self.s2s)

    def make(self, other, ca, extra, host_extra):
        self.backend = Backend(self.place, CONFIG.format(
            ca=ca, extra=extra, c2s_direct=self.c2s_direct, s2s=self.s2s, domain=self.domain, cert=self.cert,
            key=self.key, host_extra=host_extra, other=other.domain, wire=other.wire.port))

    def add_account(self, local, password):
        if local not in self.accounts:
            self.backend.add_user(f"{local}@{self.domain}", password)
            self.accounts.add(local)

    def connect(self):
        return Actor("127.0.0.1", self.c2s_direct).start_tls(sni=self.domain)

    def counter(self, name):
        return self.backend.counter(name)


class Pair(Stage):
    """near and far, of the domains near.example and far.example; both run, and the wires are whole."""

    def __init__(self, extra="", near_extra="", host_extra="", wire=Wire):
        super().__init__(None)
        self.near, self.far = Half("near.example", wire), Half("far.example", wire)
        bundle = "".join(open(half.cert).read() for half in (self.near, self.far))
        for half, other, more in ((self.near, self.far, near_extra), (self.far, self.near, "")):
            half.make(other, half.place.write("ca.pem", bundle), f"{extra}\n{more}", host_extra)
            half.wire.mend()
            half.backend.start()

    def half(self, jid):
        return self.near if jid.endswith(self.near.domain) else self.far

    def account(self, name):
        local, domain = bare(name).split("@")
        self.half(domain).add_account(local, PASSWORD)
        return f"{local}@{domain}"

    def password(self, _jid):
        return PASSWORD

    def connect(self, domain):
        return self.half(domain).connect()

    def enter(self, name, resource=None, priority=0, interested=False):
        jid = self.account(name)
        local, domain = jid.split("@")
        actor = self.connect(domain)
        actor.login(local, PASSWORD, domain, mechanism="PLAIN", resource=resource)
        if interested:
            actor.roster()
        if priority is not None:
            actor.available(priority)
            actor.drain()
        self.parties.append(actor)
        return actor

    def cut(self):
        for half in (self.near, self.far):
            half.wire.cut()

    def mend(self):
        for half in (self.near, self.far):
            half.wire.mend()

    def end(self):
        """Stop both and check that each ended in order."""
        for party in self.parties:
            party.tcp.close()
        try:
            for half in (self.near, self.far):
                if half.backend.running():
                    half.backend.stop()
                half.backend.check_clean()
        finally:
            for half in (self.near, self.far):
                half.backend.kill()
                half.backend.log_text()  # kept for the report
                half.wire.cut()
                half.place.remove()
