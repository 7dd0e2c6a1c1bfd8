"""A SOCKS5 proxy that keeps a record of what it was asked for, leads names to ports of this machine, and can misbehave.

    with Socks5({"example.onion": ("::1", 5269)}) as proxy:     # names, and the places that stand for them
        proxy.refuse("example.onion")                   # hang(), slow(), obey() likewise
        …
    proxy.asked("example.onion")                        # the requests for it

Source: RFC 1928, RFC 1929."""

import collections
import itertools
import select
import socket
import struct
import threading

from harness.ports import reserve_port
from harness.tcp import read_exactly
from harness.wait import PATIENCE_S

ANONYMOUS, PASSWORD, NONE = 0, 2, 0xff
CONNECT = 1
KINDS = {1: ("address", socket.AF_INET, 4), 3: ("name", None, None), 4: ("address", socket.AF_INET6, 16)}
SUCCEEDED, NOT_ALLOWED, HOST_UNREACHABLE, REFUSED = 0, 2, 4, 5

# offered: the methods; user, password: None when none were given; kind: "name" or "address"
Request = collections.namedtuple("Request", "offered user password kind name port")


class Socks5:
    """circuits: tell the server behind a number for each connection, as Tor does (HiddenServiceExportCircuitID)."""

    def __init__(self, ways=(), circuits=False):
        self.port, self.circuits = reserve_port(), itertools.count(1) if circuits else None
        self.ways, self.requests = dict(ways), []
        self.behaviour = {}  # by name: the reply's code, or "hang" or "slow"
        self.listener, self.open, self.lock = None, set(), threading.Lock()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.stop()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """As a proxy that is killed: nobody listens, and every connection through it breaks."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self.cut()

    def cut(self):
        """Break the connections through it."""
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended by itself

    def refuse(self, name, code=HOST_UNREACHABLE):
        self.behaviour[name] = code

    def hang(self, name):
        """Never answer a request for it."""
        self.behaviour[name] = "hang"

    def slow(self, name):
        """Write what we answer byte by byte."""
        self.behaviour[name] = "slow"

    def obey(self, name):
        self.behaviour.pop(name, None)

    def asked(self, name):
        return [request for request in self.requests if request.name == name]

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self.lock:
            self.open.add(sock)
        try:
            with sock:
                self._talk(sock)
        except OSError:
            pass  # the client or the server behind has gone
        finally:
            with self.lock:
                self.open.discard(sock)

    def _talk(self, sock):
        request = self._request(sock)
        self.requests.append(request)
        how = self.behaviour.get(request.name, SUCCEEDED)
        if how == "hang":
            sock.recv(1)
            return
        way = self.ways.get(request.name)
        code = how if isinstance(how, int) else SUCCEEDED
        if code == SUCCEEDED and way is None:
            code = HOST_UNREACHABLE
        if code == SUCCEEDED:
            try:
                server = socket.create_connection(way)
            except OSError:
                code = REFUSED
        reply = struct.pack("!BBBB4sH", 5, code, 0, 1, bytes(4), 0)
        for start in range(len(reply)) if how == "slow" else ():
            sock.sendall(reply[start:start + 1])
        if how != "slow":
            sock.sendall(reply)
        if code == SUCCEEDED:
            with server:
                if self.circuits:
                    number = next(self.circuits)
                    server.sendall(f"PROXY TCP6 fc00:dead:beef:4dad::0:{number:x} ::1 {number} 5269\r\n".encode())
                relay(sock, server)

    def _request(self, sock):
        version, count = read_exactly(sock, 2)
        assert version == 5, version
        offered = list(read_exactly(sock, count))
        user = password = None
        if PASSWORD in offered:
            sock.sendall(bytes([5, PASSWORD]))
            version, length = read_exactly(sock, 2)
            assert version == 1, version
            user = read_exactly(sock, length).decode()
            password = read_exactly(sock, read_exactly(sock, 1)[0]).decode()
            sock.sendall(b"\x01\x00")
        else:
            assert ANONYMOUS in offered, offered
            sock.sendall(bytes([5, ANONYMOUS]))
        version, command, reserved, kind = read_exactly(sock, 4)
        assert (version, command, reserved) == (5, CONNECT, 0)
        word, family, size = KINDS[kind]
        if family is None:
            name = read_exactly(sock, read_exactly(sock, 1)[0]).decode()
        else:
            name = socket.inet_ntop(family, read_exactly(sock, size))
        return Request(offered, user, password, word, name, struct.unpack("!H", read_exactly(sock, 2))[0])


def relay(one, other):
    """Until either has ended: half-closed connections are not needed by XMPP."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


def connect(port, user, name, to):
    """A connection to name and port through the proxy at a port of 127.0.0.1, as a client of it: (socket, None), or
    (None, the reply's code)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=4 * PATIENCE_S)
    sock.sendall(bytes([5, 1, PASSWORD]))
    assert read_exactly(sock, 2) == bytes([5, PASSWORD])
    sock.sendall(b"\x01" + bytes([len(user)]) + user.encode() + b"\x01x")
    assert read_exactly(sock, 2) == b"\x01\x00"
    sock.sendall(bytes([5, CONNECT, 0, 3, len(name)]) + name.encode() + struct.pack("!H", to))
    code = read_exactly(sock, 10)[1]
    if code == SUCCEEDED:
        return sock, None
    sock.close()
    return None, code
