"""Plain TCP: bytes out, bytes in, and how the connection ended."""

import datetime
import socket
import ssl

from harness.wait import PATIENCE_S


# As in <linux/in.h>: bind() leaves the choice of the port to connect(), which takes any that is free towards that server.
# Without it, a port is taken from everybody, and thousands of clients leave none for other tests.
IP_BIND_ADDRESS_NO_PORT = 24


# By the address of a client: since when a log's lines may be about it.  Another one may have had that port before.
BEGAN = {}


def remember(sock, began):
    if sock.family != socket.AF_UNIX:
        BEGAN[local_address(sock)] = began
    return sock


def now():
    """As it stands in a log."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def connect(port, host="127.0.0.1", source=None):
    """Many connections are best made from several sources (127.0.0.0/8): each has as many ports."""
    began = now()
    if source is None:
        return remember(socket.create_connection((host, port), timeout=PATIENCE_S), began)
    sock = socket.socket()
    sock.settimeout(PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    try:
        sock.connect((host, port))
    except OSError:
        sock.close()
        raise
    return remember(sock, began)


def turned_away(port, host="127.0.0.1"):
    """Whether a connection is reset before it could say anything."""
    try:
        with connect(port, host) as sock:
            return read_to_end(sock) == (b"", "reset")
    except ConnectionResetError:
        return True


def local_address(sock):
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_to_end(sock):
    """(all bytes, "end" or "reset")"""
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        return b"".join(parts), "reset"
    return b"".join(parts), "end"


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        assert part, f"the connection ended after {data!r}"
        data += part
    return data


def client_hello(sni=None, alpn=()):
    """The bytes of a real ClientHello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=sni)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def listens(port, host="127.0.0.1"):
    """Whether somebody takes connections there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return probe.connect_ex((host, port)) == 0
