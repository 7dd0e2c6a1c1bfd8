#include "lib/pp2.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
    PP2_VERSION = 0x20, /* the high half of byte 13; the low half is the command */
    PP2_LOCAL = 0x0,
    PP2_PROXY = 0x1,
    PP2_UNSPEC = 0x00, /* byte 14: address family and transport */
    PP2_TCP4 = 0x11,
    PP2_TCP6 = 0x21,
    PP2_UNIX_STREAM = 0x31,
    PP2_TCP4_BYTES = 12,
    PP2_TCP6_BYTES = 36,
    PP2_UNIX_BYTES = 216,
    PP2_TLV_HEADER_BYTES = 3,
    PP2_CRC32C_BYTES = 4,
};

static unsigned pp2_get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void pp2_put16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* CRC32C (RFC 3720, appendix B.4), four bits at a time: headers are short, and the table stays small. */
static uint32_t pp2_crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; len > 0; p++, len--) {
        crc ^= *p;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* The checksum of a header as if its own field, at field, were zero. */
static uint32_t pp2_checksum(const uint8_t *header, size_t len, const uint8_t *field)
{
    static const uint8_t zero[PP2_CRC32C_BYTES];
    size_t before = (size_t)(field - header);
    uint32_t crc = pp2_crc32c(0xffffffff, header, before);
    crc = pp2_crc32c(crc, zero, sizeof(zero));
    return ~pp2_crc32c(crc, field + sizeof(zero), len - before - sizeof(zero));
}

static void pp2_put_checksum(uint8_t *header, size_t len, uint8_t *field)
{
    uint32_t crc = pp2_checksum(header, len, field);
    pp2_put16(field, crc >> 16);
    pp2_put16(field + 2, crc & 0xffff);
}

static int pp2_fail(const char **why, const char *reason)
{
    *why = reason;
    return -1;
}

/* How many bytes of addresses the family has, or -1. */
static int pp2_address_bytes(uint8_t family, const char **why)
{
    switch (family) {
    case PP2_UNSPEC:
        return 0;
    case PP2_TCP4:
        return PP2_TCP4_BYTES;
    case PP2_TCP6:
        return PP2_TCP6_BYTES;
    case PP2_UNIX_STREAM:
        return PP2_UNIX_BYTES;
    default:
        return pp2_fail(why, "not a family of stream sockets");
    }
}

/* What can be told from the fixed part.  Returns the length of the addresses, or -1; *need is the whole length, or 0
 * when the fixed part is not complete. */
static int pp2_decode_fixed(const uint8_t *buf, size_t len, size_t *need, const char **why)
{
    size_t seen = len < PP2_SIGNATURE_BYTES ? len : PP2_SIGNATURE_BYTES;
    *need = 0;
    if (seen && memcmp(buf, PP2_SIGNATURE, seen) != 0) return pp2_fail(why, "it does not begin with a PROXY header");
    if (len <= 12) return 0;
    if ((buf[12] & 0xf0) != PP2_VERSION) return pp2_fail(why, "version is not 2");
    if ((buf[12] & 0x0f) > PP2_PROXY) return pp2_fail(why, "unknown command");
    bool local = (buf[12] & 0x0f) == PP2_LOCAL;
    if (len <= 13) return 0;
    /* Whatever a LOCAL header says behind its length is to be skipped, the family included. */
    int addresses = local ? 0 : pp2_address_bytes(buf[13], why);
    if (addresses < 0 || len < PP2_HEADER_BYTES) return addresses;
    unsigned rest = pp2_get16(buf + 14);
    if (rest < (unsigned)addresses) return pp2_fail(why, "too short for its addresses");
    *need = PP2_HEADER_BYTES + rest;
    return addresses;
}

static void pp2_decode_addresses(uint8_t family, const uint8_t *p, struct pp2 *out)
{
    if (family == PP2_TCP4) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        memcpy(&in.sin_addr, p, 4);
        memcpy(&in.sin_port, p + 8, 2);
        addr_from_sockaddr(&out->src, (struct sockaddr *)&in, sizeof(in));
        memcpy(&in.sin_addr, p + 4, 4);
        memcpy(&in.sin_port, p + 10, 2);
        addr_from_sockaddr(&out->dst, (struct sockaddr *)&in, sizeof(in));
    } else if (family == PP2_TCP6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        memcpy(&in6.sin6_addr, p, 16);
        memcpy(&in6.sin6_port, p + 32, 2);
        addr_from_sockaddr(&out->src, (struct sockaddr *)&in6, sizeof(in6));
        memcpy(&in6.sin6_addr, p + 16, 16);
        memcpy(&in6.sin6_port, p + 34, 2);
        addr_from_sockaddr(&out->dst, (struct sockaddr *)&in6, sizeof(in6));
    }
}

static int pp2_decode_tlvs(const uint8_t *header, size_t len, size_t at, struct pp2 *out, const char **why)
{
    const uint8_t *checksum = NULL;
    while (at < len) {
        const uint8_t *p = header + at;
        if (len - at < PP2_TLV_HEADER_BYTES) return pp2_fail(why, "a TLV is cut");
        struct pp2_tlv tlv = {.type = p[0], .len = (uint16_t)pp2_get16(p + 1), .value = p + PP2_TLV_HEADER_BYTES};
        at += PP2_TLV_HEADER_BYTES;
        if (len - at < tlv.len) return pp2_fail(why, "a TLV overruns the header");
        at += tlv.len;
        if (tlv.type == PP2_TLV_NOOP) continue; /* padding */
        if (tlv.type == PP2_TLV_CRC32C) {
            if (tlv.len != PP2_CRC32C_BYTES || checksum) return pp2_fail(why, "a CRC32C of a wrong form");
            checksum = tlv.value;
        }
        if (out->tlv_count == PP2_TLVS_MAX) return pp2_fail(why, "too many TLVs");
        out->tlvs[out->tlv_count++] = tlv;
    }
    if (!checksum) return 0;
    uint32_t said = (uint32_t)pp2_get16(checksum) << 16 | pp2_get16(checksum + 2);
    return said == pp2_checksum(header, len, checksum) ? 0 : pp2_fail(why, "the CRC32C does not match");
}

ssize_t pp2_decode(const uint8_t *buf, size_t len, struct pp2 *out, const char **why)
{
    size_t need;
    memset(out, 0, sizeof(*out));
    int addresses = pp2_decode_fixed(buf, len, &need, why);
    if (addresses < 0) return -1;
    if (need == 0 || len < need) return 0;
    out->local = (buf[12] & 0x0f) == PP2_LOCAL;
    if (out->local) return (ssize_t)need;
    pp2_decode_addresses(buf[13], buf + PP2_HEADER_BYTES, out);
    if (pp2_decode_tlvs(buf, need, PP2_HEADER_BYTES + (size_t)addresses, out, why) != 0) return -1;
    return (ssize_t)need;
}

const struct pp2_tlv *pp2_find(const struct pp2 *pp, uint8_t type)
{
    for (size_t i = 0; i < pp->tlv_count; i++)
        if (pp->tlvs[i].type == type) return &pp->tlvs[i];
    return NULL;
}

/* How the addresses are written: as the family of both, IPv6 when they differ, UNSPEC when one is not known. */
static uint8_t pp2_family(const struct pp2 *pp)
{
    sa_family_t src = pp->src.sa.sa_family, dst = pp->dst.sa.sa_family;
    bool known = (src == AF_INET || src == AF_INET6) && (dst == AF_INET || dst == AF_INET6);
    if (pp->local || !known) return PP2_UNSPEC;
    return src == AF_INET && dst == AF_INET ? PP2_TCP4 : PP2_TCP6;
}

static struct in6_addr pp2_as_in6(const struct addr *a)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    if (a->sa.sa_family == AF_INET6) return a->in6.sin6_addr;
    memcpy(ip.s6_addr + 12, &a->in.sin_addr, 4);
    return ip;
}

static void pp2_encode_addresses(const struct pp2 *pp, uint8_t family, uint8_t *p)
{
    size_t ip_bytes = family == PP2_TCP4 ? 4 : 16;
    if (family == PP2_TCP4) {
        memcpy(p, &pp->src.in.sin_addr, ip_bytes);
        memcpy(p + ip_bytes, &pp->dst.in.sin_addr, ip_bytes);
    } else {
        struct in6_addr src = pp2_as_in6(&pp->src), dst = pp2_as_in6(&pp->dst);
        memcpy(p, &src, ip_bytes);
        memcpy(p + ip_bytes, &dst, ip_bytes);
    }
    pp2_put16(p + 2 * ip_bytes, addr_port(&pp->src));
    pp2_put16(p + 2 * ip_bytes + 2, addr_port(&pp->dst));
}

ssize_t pp2_encode(const struct pp2 *pp, uint8_t *out, size_t cap)
{
    uint8_t family = pp2_family(pp), *checksum = NULL;
    size_t addresses = family == PP2_TCP4 ? PP2_TCP4_BYTES : family == PP2_TCP6 ? PP2_TCP6_BYTES : 0;
    size_t rest = addresses;
    CHECK(pp->tlv_count <= PP2_TLVS_MAX);
    for (size_t i = 0; i < pp->tlv_count; i++)
        rest += PP2_TLV_HEADER_BYTES + (size_t)pp->tlvs[i].len;
    if (rest > UINT16_MAX || cap < PP2_HEADER_BYTES + rest) return -1;
    memcpy(out, PP2_SIGNATURE, PP2_SIGNATURE_BYTES);
    out[12] = PP2_VERSION | (pp->local ? PP2_LOCAL : PP2_PROXY);
    out[13] = family;
    pp2_put16(out + 14, rest);
    if (addresses) pp2_encode_addresses(pp, family, out + PP2_HEADER_BYTES);
    uint8_t *p = out + PP2_HEADER_BYTES + addresses;
    for (size_t i = 0; i < pp->tlv_count; i++) {
        const struct pp2_tlv *tlv = &pp->tlvs[i];
        p[0] = tlv->type;
        pp2_put16(p + 1, tlv->len);
        p += PP2_TLV_HEADER_BYTES;
        if (tlv->len) memcpy(p, tlv->value, tlv->len);
        if (tlv->type == PP2_TLV_CRC32C && tlv->len == PP2_CRC32C_BYTES) checksum = p;
        p += tlv->len;
    }
    if (checksum) pp2_put_checksum(out, PP2_HEADER_BYTES + rest, checksum);
    return (ssize_t)(PP2_HEADER_BYTES + rest);
}

size_t pp1_encode(const struct pp2 *pp, char *out)
{
    char src[ADDR_TEXT_BYTES], dst[ADDR_TEXT_BYTES];
    uint8_t family = pp2_family(pp);
    if (family == PP2_UNSPEC) return (size_t)snprintf(out, PP1_MAX_BYTES, "PROXY UNKNOWN\r\n");
    const struct addr *ends[] = {&pp->src, &pp->dst};
    char *texts[] = {src, dst};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct addr a = *ends[i];
        if (family == PP2_TCP6)
            a.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = pp2_as_in6(ends[i])};
        addr_format_host(&a, texts[i], ADDR_TEXT_BYTES);
    }
    return (size_t)snprintf(out, PP1_MAX_BYTES, "PROXY TCP%c %s %s %u %u\r\n", family == PP2_TCP4 ? '4' : '6', src, dst,
                            (unsigned)addr_port(&pp->src), (unsigned)addr_port(&pp->dst));
}

/* Cut the next word off a line of words with one space between each; NULL when there is none. */
static char *pp1_word(char **rest)
{
    char *word = *rest;
    if (!word) return NULL;
    char *space = strchr(word, ' ');
    *rest = space ? space + 1 : NULL;
    if (space) *space = '\0';
    return word;
}

/* Decimal without leading zeros.  Returns -1 for anything else. */
static int pp1_port(const char *word, in_port_t *out)
{
    unsigned port = 0;
    size_t len = word ? strlen(word) : 0;
    if (len == 0 || len > 5 || strspn(word, "0123456789") != len || (word[0] == '0' && len > 1)) return -1;
    for (; *word; word++)
        port = port * 10 + (unsigned)(*word - '0');
    if (port > 65535) return -1;
    *out = htons((uint16_t)port);
    return 0;
}

static int pp1_address(const char *host, const char *port, sa_family_t family, struct addr *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (!host) return -1;
    if (family == AF_INET) {
        if (inet_pton(AF_INET, host, &in.sin_addr) != 1 || pp1_port(port, &in.sin_port) != 0) return -1;
        addr_from_sockaddr(out, (struct sockaddr *)&in, sizeof(in));
    } else {
        if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1 || pp1_port(port, &in6.sin6_port) != 0) return -1;
        addr_from_sockaddr(out, (struct sockaddr *)&in6, sizeof(in6));
    }
    return 0;
}

/* The line behind the signature, without its end. */
static int pp1_decode_words(char *line, struct pp2 *out, const char **why)
{
    char *rest = line;
    const char *protocol = pp1_word(&rest);
    if (strcmp(protocol, "UNKNOWN") == 0) return 0; /* whatever else it says is to be ignored */
    sa_family_t family = strcmp(protocol, "TCP4") == 0 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && strcmp(protocol, "TCP6") != 0) return pp2_fail(why, "neither TCP4, TCP6 nor UNKNOWN");
    const char *src = pp1_word(&rest), *dst = pp1_word(&rest), *sport = pp1_word(&rest), *dport = pp1_word(&rest);
    if (rest || pp1_address(src, sport, family, &out->src) != 0 || pp1_address(dst, dport, family, &out->dst) != 0)
        return pp2_fail(why, "not two addresses and two ports of that family");
    return 0;
}

ssize_t pp1_decode(const uint8_t *buf, size_t len, struct pp2 *out, const char **why)
{
    enum { SIGNATURE_BYTES = sizeof(PP1_SIGNATURE) - 1 };
    char line[PP1_MAX_BYTES];
    size_t seen = len < SIGNATURE_BYTES ? len : SIGNATURE_BYTES, max = PP1_MAX_BYTES - 1;
    memset(out, 0, sizeof(*out));
    if (seen && memcmp(buf, PP1_SIGNATURE, seen) != 0) return pp2_fail(why, "no PROXY version 1 signature");
    const uint8_t *cr = len ? memchr(buf, '\r', len < max ? len : max) : NULL;
    size_t end = cr ? (size_t)(cr - buf) : len;
    if (end + 2 > max) return pp2_fail(why, "longer than 107 bytes");
    if (!cr || end + 1 == len) return 0;
    if (buf[end + 1] != '\n') return pp2_fail(why, "a carriage return without a line feed");
    if (memchr(buf, '\0', end)) return pp2_fail(why, "a NUL in the line");
    memcpy(line, buf + SIGNATURE_BYTES, end - SIGNATURE_BYTES);
    line[end - SIGNATURE_BYTES] = '\0';
    if (pp1_decode_words(line, out, why) != 0) {
        memset(out, 0, sizeof(*out));
        return -1;
    }
    return (ssize_t)(end + 2);
}
