"""What the gateway says with a socket that it hands off; the test is the backend."""

import array
import os
import socket

import pytest

from harness.ports import reserve_port
from harness.postern import Gateway
from harness.pp2 import ALPN_OFFER, AUTHORITY, UNIQUE_ID, parse
from harness.tcp import client_hello
from harness.wait import PATIENCE_S, wait_until


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
route "all" {{ handoff = "us" }}
""")
        one.start()
        yield one, port, listener
        one.stop()
        one.check_clean()


def receive(listener):
    """The first message: (source, destination), {TLV type: value}, the socket."""
    channel, _ = listener.accept()
    with channel:
        channel.settimeout(PATIENCE_S)
        message, ancillary, _, _ = channel.recvmsg(70000, socket.CMSG_SPACE(4))
    (_, kind, data), = ancillary
    assert kind == socket.SCM_RIGHTS
    handed = socket.socket(fileno=array.array("i", data)[0])
    handed.settimeout(PATIENCE_S)
    return *parse(message), handed


@pytest.mark.release
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_names_and_id_come_with_the_socket(gateway, host):
    server, port, listener = gateway
    sent = client_hello("Chat.Example.test", ["xmpp-client", "h2"])
    with socket.create_connection((host, port), timeout=PATIENCE_S) as client:
        client.sendall(sent[:100])
        # Asking takes longer than the worker needs to look at what has arrived.
        wait_until(lambda: server.stats()[""]["accepted"] == 1, "the first part is looked at")
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
