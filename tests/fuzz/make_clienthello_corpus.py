#!/usr/bin/env python3
"""Write the hand-built samples of tests/fuzz/corpus/clienthello (those that no client at hand sends).

The real_* samples beside them were captured from openssl s_client, curl and Python's ssl module."""

import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "clienthello"

GREASE_CIPHER, GREASE_EXT, GREASE_EXT2, GREASE_GROUP, GREASE_VERSION = 0x1A1A, 0x2A2A, 0xBABA, 0x3A3A, 0x4A4A
X25519, X25519MLKEM768 = 0x001D, 0x11EC
SNI, GROUPS, ALPN, PADDING, VERSIONS, KEY_SHARE, ECH = 0, 10, 16, 21, 43, 51, 0xFE0D


def u8(n):
    return struct.pack(">B", n)


def u16(n):
    return struct.pack(">H", n)


def v8(data):
    return u8(len(data)) + data


def v16(data):
    return u16(len(data)) + data


def pattern(n):
    """Bytes that stand for random ones and are the same at every run."""
    return bytes((i * 167 + 13) & 0xFF for i in range(n))


def ext(kind, data=b""):
    return u16(kind) + v16(data)


def sni(*names):
    return ext(SNI, v16(b"".join(u8(0) + v16(n) for n in names)))


def alpn(*names):
    return ext(ALPN, v16(b"".join(v8(n) for n in names)))


def versions(*values):
    return ext(VERSIONS, v8(b"".join(u16(v) for v in values)))


def key_shares(*shares):
    return ext(KEY_SHARE, v16(b"".join(u16(group) + v16(key) for group, key in shares)))


def message(extensions, version=0x0303, ciphers=(0x1301, 0x1302, 0xC02F), session=pattern(32), kind=1):
    body = u16(version) + pattern(32) + v8(session) + v16(b"".join(u16(c) for c in ciphers)) + v8(b"\0")
    if extensions is not None:
        body += v16(b"".join(extensions))
    return u8(kind) + struct.pack(">I", len(body))[1:] + body


def record(data, kind=22, version=0x0301):
    return u8(kind) + u16(version) + v16(data)


def hello(*extensions, **how):
    return record(message(extensions, **how))


def sslv2(version=0x0303, ciphers=b"\x00\x00\x2f\x00\x00\x35", challenge=pattern(16)):
    body = u8(1) + u16(version) + u16(len(ciphers)) + u16(0) + u16(len(challenge)) + ciphers + challenge
    return u16(0x8000 | len(body)) + body


def chromium_like():
    return [
        ext(GREASE_EXT),
        sni(b"www.example.test"),
        ext(GROUPS, v16(u16(GREASE_GROUP) + u16(X25519MLKEM768) + u16(X25519))),
        alpn(b"\x0a\x0a", b"h2", b"http/1.1"),
        versions(GREASE_VERSION, 0x0304, 0x0303),
        key_shares((GREASE_GROUP, b"\0"), (X25519MLKEM768, pattern(1216)), (X25519, pattern(32))),
        ext(ECH, b"\0" + u16(1) + u16(1) + u8(7) + v16(pattern(32)) + v16(pattern(240))),
        ext(13, v16(pattern(16))),
        ext(GREASE_EXT2, b"\0"),
    ]


def split(data, *sizes):
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return b"".join(record(p) for p in parts + [data])


def samples():
    xmpp = [sni(b"xmpps.example.test"), alpn(b"xmpp-client"), versions(0x0304, 0x0303)]
    plain = message(xmpp)
    postquantum = message(chromium_like(), ciphers=(GREASE_CIPHER, 0x1301, 0x1302, 0x1303))
    assert len(postquantum) > 1700
    yield "good_post_quantum", record(postquantum)
    yield "good_post_quantum_split", split(postquantum, 3, 1, 700, 2)
    yield "good_split_every_byte", split(plain, *([1] * (len(plain) - 1)))
    yield "good_two_records", split(plain, 60)
    yield "good_shares_record", record(plain + plain[:9])
    yield "good_early_data", record(plain) + record(b"", 20) + record(pattern(40), 23)
    yield "good_padding", hello(*xmpp, ext(PADDING, bytes(300)))
    yield "good_tls10", hello(sni(b"old.example.test"), version=0x0301, ciphers=(0x002F,))
    yield "good_no_extensions", record(message(None, version=0x0301, ciphers=(0x002F,), session=b""), version=0x0300)
    yield "good_no_sni", hello(alpn(b"h2", b"http/1.1"), versions(0x0304))
    yield "good_no_alpn", hello(sni(b"example.test"), versions(0x0304, 0x0303))
    yield "good_trailing_dot", hello(sni(b"example.test."))
    yield "good_upper_case", hello(sni(b"WWW.Example.TEST"))
    yield "good_sni_ipv4", hello(sni(b"192.0.2.1"))
    yield "good_sni_ipv6", hello(sni(b"2001:db8::1"))
    yield "good_ech", hello(sni(b"outer.example.test"), ext(ECH, b"\0" + pattern(60)), versions(0x0304))
    yield "good_versions_all", hello(sni(b"example.test"), versions(0x0301, GREASE_VERSION, 0x0302, 0x0303, 0x0304))
    yield "good_versions_unknown", hello(sni(b"example.test"), versions(0x7F1C, GREASE_VERSION))
    yield "good_versions_future", hello(sni(b"example.test"), versions(0x0305, 0x0300, 0x0303))
    yield "good_sslv2", sslv2()
    yield "bad_sni_empty", hello(sni(b""))
    yield "bad_sni_nul", hello(sni(b"example.test\0.evil"))
    yield "bad_sni_long", hello(sni(b"a" * 300))
    yield "bad_alpn_empty_list", hello(ext(ALPN, v16(b"")))
    yield "bad_alpn_empty_name", hello(alpn(b"h2", b""))
    yield "bad_alpn_too_many", hello(alpn(*[b"protocol-%03d" % i for i in range(60)]))
    yield "bad_duplicate_extension", hello(sni(b"a.example.test"), sni(b"b.example.test"))
    yield "bad_extension_overlong", hello(sni(b"example.test"), u16(ALPN) + u16(500) + b"\0\3\2h2")
    yield "bad_extensions_beyond_message", record(plain[:3] + u8(plain[3] - 1) + plain[4:])
    yield "bad_message_too_long", record(b"\1\1\0\0" + pattern(40))
    yield "bad_zero_record_between", record(plain[:50]) + record(b"") + record(plain[50:])
    yield "bad_alert_between", record(plain[:50]) + record(b"\1\0", 21) + record(plain[50:])
    yield "bad_sslv2_lengths", sslv2()[:5] + u16(600) + sslv2()[7:]
    yield "no_alert_first", record(b"\2\x28", 21) + record(plain)
    yield "no_zero_record_first", record(b"") + record(plain)
    yield "no_server_hello", hello(*xmpp, kind=2)
    yield "more_half_hello", record(postquantum)[:900]
    yield "text_http_get", b"GET /index.html HTTP/1.1\r\nHost: www.example.test\r\n\r\n"
    yield "text_http_report", b"VERSION-CONTROL /a HTTP/1.1\r\nHost: a\r\n\r\n"
    yield "text_http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    yield "text_xmpp", b"<?xml version='1.0'?><stream:stream to='example.test' xmlns='jabber:client'>"
    yield "text_xmpp_marked", b"\xef\xbb\xbf \n<stream:stream to='example.test'>"
    yield "text_ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
    yield "text_ssh_199", b"SSH-1.99-PuTTY_Release_0.78\r\n"
    yield "text_ssh_1", b"SSH-1.5-1.2.27\n"
    # First packets of other protocols.  Captured: OpenVPN 2.6 (plain, tls-auth, tls-crypt), curl 7.88, psql 15.
    yield "first_openvpn", bytes.fromhex("000e38be04b569bd30b23b0000000000")
    yield "first_openvpn_tls_auth", bytes.fromhex(
        "002a389eb505b82c137c7a24af67e9c9d2d39aac409cdca4ac6920c8d3c3d6000000016b00d1e8000000"
        "0000")
    yield "first_openvpn_tls_crypt", bytes.fromhex(
        "003638c0153b34d0d8eed1000000016b00d1e8fdbb15b429ec439c3339c4a8d212ea7a2dc5a3289c1d7a"
        "a62b92fd6706cb5b0e527b4b9294")
    yield "first_openvpn_tls_crypt_v2", bytes.fromhex("01615007539b6a5a4449b10f0000016b00d1e847296ccdab") + pattern(331)
    yield "first_socks5", bytes.fromhex("05020001")
    yield "first_socks5_password", bytes.fromhex("0503000102")
    yield "first_mqtt", bytes.fromhex("101800044d5154540402003c000c6375726c6338383261396232")
    yield "first_mqtt_5", bytes.fromhex("108d0100044d5154540502003c00000080") + pattern(128)
    yield "first_mqtt_31", bytes.fromhex("100f00064d51497364700302003c000161")
    yield "first_postgresql_tls", bytes.fromhex("0000000804d2162f")
    yield "first_postgresql_gssapi", bytes.fromhex("0000000804d21630")
    yield "first_postgresql_cancel", bytes.fromhex("0000001004d2162e0000303912345678")
    yield "first_postgresql_start", (
        bytes.fromhex("0000003100030000") + b"user\0u\0database\0d\0application_name\0psql\0\0")
    # [MS-RDPBCGR] section 4.1.1, with and without the cookie
    yield "first_rdp", (
        bytes.fromhex("0300002c27e00000000000") + b"Cookie: mstshash=eltons\r\n" + bytes.fromhex("0100080000000000"))
    yield "first_rdp_bare", bytes.fromhex("030000130ee000000000000100080003000000")
    yield "text_smtp", b"EHLO mail.example.test\r\n"


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in samples():
        (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()
