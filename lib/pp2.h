/* pp2 - the PROXY protocol: version 2 headers with TLVs, and version 1 lines.
 *
 * One encoder and one decoder serve the prefix on a TCP connection and the message that carries a handed-off socket.
 * Source: The PROXY protocol, versions 1 & 2 (HAProxy, proxy-protocol.txt), sections 2.1 and 2.2. */
#ifndef POSTERN_LIB_PP2_H
#define POSTERN_LIB_PP2_H

#include "lib/addr.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How the headers begin; neither can begin a TLS record, an HTTP request line or an XMPP stream. */
#define PP1_SIGNATURE "PROXY "
#define PP2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
    PP2_SIGNATURE_BYTES = 12,
    PP2_HEADER_BYTES = 16,
    PP2_MAX_BYTES = 16 + 65535,
    PP1_MAX_BYTES = 108, /* 107 and a NUL */
};

/* TLV types of section 2.2, and ours from its range for custom use (0xE0 to 0xEF). */
enum pp2_tlv_type {
    PP2_TLV_ALPN = 0x01,
    PP2_TLV_AUTHORITY = 0x02,
    PP2_TLV_CRC32C = 0x03,
    PP2_TLV_NOOP = 0x04,
    PP2_TLV_UNIQUE_ID = 0x05,
    PP2_TLV_SSL = 0x20,
    PP2_TLV_NETNS = 0x30,
    PP2_TLV_POSTERN_ALPN_OFFER = 0xE0, /* the client's ALPN offer as in its ClientHello: length-prefixed names */
    PP2_TLV_POSTERN_EXPORTER = 0xE1,   /* channel binding tls-exporter (RFC 9266): 32 bytes */
    PP2_TLV_POSTERN_END_POINT = 0xE2,  /* channel binding tls-server-end-point (RFC 5929): the hash, 64 bytes at most */
    PP2_TLV_POSTERN_CHAIN = 0xE3,      /* the client's certificates, leaf first: see pp2_chain_next in pp2_ssl.h */
};

struct pp2_tlv {
    uint8_t type;
    uint16_t len;
    const uint8_t *value;
};

enum { PP2_TLVS_MAX = 24 };

struct pp2 {
    bool local;           /* LOCAL command: no client; a health check */
    struct addr src, dst; /* unknown for LOCAL, AF_UNSPEC and AF_UNIX headers */
    size_t tlv_count;
    struct pp2_tlv tlvs[PP2_TLVS_MAX];
};

/* pp2_decode - read a version 2 header at the start of buf.
 * Returns its length in bytes, 0 if more bytes are needed (never if len >= PP2_MAX_BYTES), -1 if it is malformed
 * (*why says how): signature, version, command, a length too short for the family, a TLV that overruns, more than
 * PP2_TLVS_MAX TLVs, a CRC32C that does not match, a family of datagram sockets.  Padding (NOOP) is left out; of a
 * LOCAL header everything is.  out borrows from buf. */
MUSTCHECK ssize_t pp2_decode(const uint8_t *buf, size_t len, struct pp2 *out, const char **why);

/* pp2_find - the first TLV of that type, or NULL. */
const struct pp2_tlv *pp2_find(const struct pp2 *pp, uint8_t type);

/* pp2_encode - write a header into out.  Returns its length in bytes, or -1 when cap is too small or the TLVs pass
 * 65,535 bytes.  Addresses of different families are both written as IPv6 (IPv4-mapped); when either is unknown,
 * neither is written.  A CRC32C TLV of 4 bytes is given the right value. */
MUSTCHECK ssize_t pp2_encode(const struct pp2 *pp, uint8_t *out, size_t cap);

/* pp1_decode - read a version 1 line at the start of buf, strictly as section 2.1 says.
 * Returns its length in bytes with CR and LF, 0 if more bytes are needed (never if len >= PP1_MAX_BYTES - 1), -1 if it
 * is malformed (*why says how).  The addresses of an UNKNOWN line are unknown. */
MUSTCHECK ssize_t pp1_decode(const uint8_t *buf, size_t len, struct pp2 *out, const char **why);

/* pp1_encode - write a version 1 line, "PROXY TCP4 src dst sport dport\r\n" or "PROXY UNKNOWN\r\n", with
 * the addresses as pp2_encode chooses them, and a NUL.  Returns its length in bytes without the NUL; out has at least
 * PP1_MAX_BYTES. */
size_t pp1_encode(const struct pp2 *pp, char *out);

#endif
