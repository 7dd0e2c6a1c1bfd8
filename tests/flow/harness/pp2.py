"""Reading PROXY protocol version 2 headers (HAProxy's proxy-protocol.txt, section 2.2)."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
AUTHORITY, UNIQUE_ID, ALPN_OFFER = 0x02, 0x05, 0xE0


def parse(message):
    """A whole TCP header: ((source, destination), {TLV type: value})."""
    assert message[:13] == SIGNATURE + b"\x21" and struct.unpack("!H", message[14:16])[0] == len(message) - 16
    family, size = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}[message[13]]
    hosts = [socket.inet_ntop(family, message[start:start + size]) for start in (16, 16 + size)]
    ports = struct.unpack("!HH", message[16 + 2 * size:20 + 2 * size])
    rest, tlvs = message[20 + 2 * size:], {}
    while rest:
        kind, length = struct.unpack("!BH", rest[:3])
        tlvs[kind], rest = rest[3:3 + length], rest[3 + length:]
    return tuple(zip(hosts, ports)), tlvs
