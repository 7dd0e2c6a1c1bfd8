"""What the gateway says with a socket that it hands off; the test is the backend."""

import array
import contextlib
import os
import socket
import ssl
import struct

import pytest

from harness.ports import reserve_port
from harness.postern import Gateway
from harness.wait import PATIENCE_S

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
AUTHORITY, UNIQUE_ID, ALPN_OFFER = 0x02, 0x05, 0xE0


@pytest.fixture
def gateway(place):
    """A gateway that hands everything to us, and our inlet."""
    inlet = place.path / "inlet.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(inlet))
        inlet.chmod(0o666)
        listener.listen()
        listener.settimeout(PATIENCE_S)
        port = reserve_port()
        one = Gateway(place, f"""
listener "public" {{ address = {{"127.0.0.1:{port}", "[::1]:{port}"}} }}
backend "us" {{ inlet = "{inlet}" }}
route "all" {{ protocol = {{"tls", "xmpp"}} handoff = "us" }}
""")
        one.start()
        yield one, port, listener
        one.stop()
        one.check_clean()


def receive(listener):
    """The first message: ((family, source, destination), {TLV type: value}, the socket)."""
    channel, _ = listener.accept()
    with channel:
        channel.settimeout(PATIENCE_S)
        message, ancillary, _, _ = channel.recvmsg(70000, socket.CMSG_SPACE(4))
    (_, kind, data), = ancillary
    assert kind == socket.SCM_RIGHTS
    handed = socket.socket(fileno=array.array("i", data)[0])
    handed.settimeout(PATIENCE_S)
    assert message[:13] == SIGNATURE + b"\x21" and struct.unpack("!H", message[14:16])[0] == len(message) - 16
    family, size, tlvs = (socket.AF_INET, 4, {}) if message[13] == 0x11 else (socket.AF_INET6, 16, {})
    ports = struct.unpack("!HH", message[16 + 2 * size:20 + 2 * size])
    source, destination = ((socket.inet_ntop(family, message[16 + i * size:16 + (i + 1) * size]), ports[i])
                           for i in (0, 1))
    rest = message[20 + 2 * size:]
    while rest:
        kind, length = struct.unpack("!BH", rest[:3])
        tlvs[kind], rest = rest[3:3 + length], rest[3 + length:]
    return (source, destination), tlvs, handed


def hello(sni, alpn):
    """A ClientHello as Python's OpenSSL writes it."""
    context = ssl.create_default_context()
    if alpn:
        context.set_alpn_protocols(alpn)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=sni)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.release
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_names_and_id_come_with_the_socket(gateway, host):
    server, port, listener = gateway
    sent = hello("Chat.Example.test", ["xmpp-client", "h2"])
    with socket.create_connection((host, port), timeout=PATIENCE_S) as client:
        client.sendall(sent[:100])
        client.sendall(sent[100:])
        addresses, tlvs, handed = receive(listener)
        with handed:
            assert addresses == (client.getsockname()[:2], (host, port))
            assert tlvs[AUTHORITY] == b"chat.example.test"
            assert tlvs[ALPN_OFFER] == b"\x0bxmpp-client\x02h2"
            line = server.close_lines(reason="handed_off")[0]
            assert tlvs[UNIQUE_ID].decode() == line["conn"]
            assert (line["sni"], line["alpn"], line["backend"]) == ("chat.example.test", "xmpp-client,h2", "us")
            assert handed.recv(65536) == sent, "not a byte was consumed"
            handed.sendall(b"ours")
            assert client.recv(4, socket.MSG_WAITALL) == b"ours"


def test_what_was_not_said_is_not_told(gateway):
    _, port, listener = gateway
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(b"<?xml version='1.0'?>")
        _, tlvs, handed = receive(listener)
        with handed:
            assert set(tlvs) == {UNIQUE_ID}
            assert os.read(handed.fileno(), 100) == b"<?xml version='1.0'?>"
