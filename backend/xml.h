/* xml - XMPP's restricted XML over Expat: bytes in, a stream header and then stanzas out.
 *
 * Source: RFC 6120 sections 4.9 and 11.  No DTD, comment, processing instruction (but the XML declaration), or entity
 * other than the five; limits on depth, attributes, name length, token and stanza size, tighter before authentication.
 * Handlers never run inside Expat: the parser stops after each unit and the caller asks for the next. */
#ifndef POSTERN_BACKEND_XML_H
#define POSTERN_BACKEND_XML_H

#include "backend/elem.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xml_limits {
    size_t stanza_bytes; /* of one first-level element, start tag to end tag; of the header, 10,000 at most */
    unsigned depth;      /* of elements below the stream's root */
    unsigned attributes; /* of one element, namespace declarations included */
    size_t name_bytes;   /* of an element's or attribute's name, namespace name included */
    unsigned elements;   /* of one stanza */
    bool secret;         /* a password may come: elements are overwritten when they are freed */
};

extern const struct xml_limits XML_LIMITS_UNAUTHENTICATED; /* 10,000 bytes, depth 12 … */
extern const struct xml_limits XML_LIMITS_AUTHENTICATED;   /* 256 KiB, depth 100 … */

enum xml_unit {
    XML_MORE,         /* all bytes are consumed; feed more */
    XML_STREAM_START, /* the stream header: *elem is the root's start tag, the caller's to free */
    XML_STANZA,       /* a first-level element: *elem, the caller's to free */
    XML_STREAM_END,   /* </stream:stream> */
    XML_FAULT,        /* the stream is broken: xml_fault says how; nothing more will come */
};

/* It may go to another thread between two units. */
struct xml;

struct xml *xml_new(const struct xml_limits *limits);
void xml_free(struct xml **xml);
void xml_set_limits(struct xml *xml, const struct xml_limits *limits);

/* xml_max_bytes - how large a first-level element may be. */
size_t xml_max_bytes(const struct xml *xml);

/* xml_reset - expect a new stream header, as after STARTTLS and authentication.  White space before it is forgiven: a
 * keepalive may have crossed our answer. */
void xml_reset(struct xml *xml);

/* xml_next - read from *data (moving *data and *len past what is consumed) up to the end of the next unit.  White space
 * between stanzas is consumed silently (a keepalive).  After XML_MORE everything given is consumed.  Units and faults
 * do not depend on how the bytes are cut.  What follows </stream:stream> is consumed and ignored. */
MUSTCHECK enum xml_unit xml_next(struct xml *xml, const uint8_t **data, size_t *len, struct elem **elem);

/* xml_fault - the stream error condition of RFC 6120 section 4.9.3 ("not-well-formed", "restricted-xml",
 * "policy-violation", "unsupported-encoding", "bad-format") and a short static text for people; NULL: no fault. */
const char *xml_fault(const struct xml *xml, const char **text);

/* xml_content_ns - the namespace of the stanzas (RFC 6120 section 4.8.2), once the header is there: what it declares as
 * the default.  NULL: nothing; "": none of jabber:client, jabber:server and the stream's own. */
const char *xml_content_ns(const struct xml *xml);

/* xml_idle - nothing is half read: between units. */
int xml_idle(const struct xml *xml);

#endif
