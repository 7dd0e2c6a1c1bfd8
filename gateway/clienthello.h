/* clienthello - a parser for the TLS ClientHello at the start of a byte stream.
 *
 * Reads without copying where it can: a hello may be split over TLS records (then the fragments are joined in a scratch
 * buffer of the thread).  Source: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301, RFC 8701 (GREASE),
 * RFC 5246 appendix E.2 (SSLv2-framed hello). */
#ifndef POSTERN_GATEWAY_CLIENTHELLO_H
#define POSTERN_GATEWAY_CLIENTHELLO_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENTHELLO_ALPN_MAX_BYTES = 512 };

/* Versions as a set. */
enum {
    CLIENTHELLO_TLS10 = 1,
    CLIENTHELLO_TLS11 = 2,
    CLIENTHELLO_TLS12 = 4,
    CLIENTHELLO_TLS13 = 8,
};

struct clienthello {
    bool sslv2;           /* framed as SSLv2: has no extensions */
    bool has_sni;         /* a host_name was sent */
    bool has_alpn;        /* the extension was sent */
    bool has_ech;         /* encrypted_client_hello was sent: the SNI is the outer one */
    bool fragmented;      /* split over records */
    uint16_t version_max; /* the highest version offered, 0x0303 for TLS 1.2; GREASE is left out */
    uint8_t versions; /* CLIENTHELLO_TLS12, …: those offered by name; the highest alone where it is all that is said */
    char sni[256];    /* lower case, without trailing dot; NUL-terminated */
    size_t alpn_len;  /* the offer as on the wire: length-prefixed names, GREASE left out */
    uint8_t alpn[CLIENTHELLO_ALPN_MAX_BYTES];
};

enum clienthello_verdict {
    CLIENTHELLO_NO,       /* this is not TLS */
    CLIENTHELLO_MORE,     /* a prefix of a hello (or of what may be one) */
    CLIENTHELLO_COMPLETE, /* out is filled */
    CLIENTHELLO_BAD,      /* it is TLS, but the hello is malformed or over the limits */
};

/* clienthello_parse - look at the first len bytes.  The verdict for a prefix is MORE or the verdict for the whole,
 * never anything else.  out is filled on COMPLETE only. */
MUSTCHECK enum clienthello_verdict clienthello_parse(const uint8_t *data, size_t len, struct clienthello *out);

/* clienthello_negotiated - what a handshake of ours has come to, in place of an offer: sni and alpn (alpn_len bytes)
 * may be NULL; version is 0x0303 for TLS 1.2. */
void clienthello_negotiated(struct clienthello *out, const char *sni, const uint8_t *alpn, size_t alpn_len,
                            uint16_t version);

/* clienthello_offers - whether the offer has an ALPN name (exact, case-sensitive). */
bool clienthello_offers(const struct clienthello *hello, const char *alpn);

/* clienthello_alpn_text - the offer as "h2,http/1.1" for logs, odd bytes as \xNN; cut to cap; returns out. */
char *clienthello_alpn_text(const struct clienthello *hello, char *out, size_t cap);

#endif
