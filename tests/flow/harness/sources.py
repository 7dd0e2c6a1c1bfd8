"""Clients from any address: we are the gateway, and hand their sockets to the backend's inlet."""

import array
import socket
import struct

from harness.pp2 import SIGNATURE
from harness.rawxmpp import RawClient
from harness.site import XMPPS


def header(host, port=40000):
    """A PROXY header, version 2, without TLVs."""
    family, kind, to = (socket.AF_INET6, 0x21, "2001:db8::1") if ":" in host else (socket.AF_INET, 0x11, "192.0.2.1")
    body = socket.inet_pton(family, host) + socket.inet_pton(family, to) + struct.pack("!HH", port, 443)
    return SIGNATURE + b"\x21" + bytes([kind]) + struct.pack("!H", len(body)) + body


def client_from(site, host):
    """A client whose address is host, with TLS."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = RawClient(*listener.getsockname())
        accepted, _ = listener.accept()
    with accepted, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as inlet:
        inlet.connect(str(site.backend.inlet))
        inlet.sendmsg([header(host)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [accepted.fileno()]))])
    return client.start_tls(sni=XMPPS, alpn=["xmpp-client"])
