"""Reading and writing PROXY protocol version 2 headers (HAProxy's proxy-protocol.txt, section 2.2)."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, UNIQUE_ID, SSL = 0x01, 0x02, 0x05, 0x20
ALPN_OFFER, EXPORTER, END_POINT, CHAIN = 0xE0, 0xE1, 0xE2, 0xE3  # our own
CLIENT_SSL, CLIENT_CERT_CONN = 1, 2


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


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def ssl(client=CLIENT_SSL, verify=0, version=b"TLSv1.3", cipher=b"TLS_AES_256_GCM_SHA384"):
    """The SSL TLV of section 2.2.6."""
    subs = b"".join(tlv(kind, value) for kind, value in ((0x21, version), (0x23, cipher)) if value is not None)
    return tlv(SSL, struct.pack("!BI", client, verify) + subs)


def chain(certificates):
    """The chain TLV: DER certificates, leaf first."""
    return tlv(CHAIN, b"".join(len(der).to_bytes(3, "big") + der for der in certificates))


def build(tlvs=b"", source=("192.0.2.7", 40000), destination=("192.0.2.1", 443)):
    """A PROXY header for TCP over IPv4."""
    body = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    body += struct.pack("!HH", source[1], destination[1]) + tlvs
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


LOCAL_HEADER = SIGNATURE + b"\x20\x00\x00\x00"
