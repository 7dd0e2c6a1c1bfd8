/* xml_scan - finds where XML tags end, and refuses at once what no XMPP stream may contain.
 *
 * Expat reads an unfinished token again with each chunk, which costs quadratic time in a token that drips in.  So it is
 * only ever fed up to the end of a tag, which this finds by looking at every byte once.  What is well formed is left
 * to Expat; a fault found here does not wait for the end of the tag.
 * Source: XML 1.0 sections 2.2, 2.7, 3.1; RFC 6120 sections 4.9.3 and 11. */
#ifndef POSTERN_BACKEND_XML_SCAN_H
#define POSTERN_BACKEND_XML_SCAN_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the next byte will stand. */
enum xml_scan_place {
    XML_SCAN_START,   /* first of a document: a tag or an XML declaration */
    XML_SCAN_PROLOG,  /* before the root */
    XML_SCAN_BETWEEN, /* in the root, between stanzas */
    XML_SCAN_CONTENT, /* in a stanza */
};

struct xml_scan {
    uint8_t state;
    uint8_t matched;  /* bytes of a fixed word seen */
    bool in_content;  /* the tag stands in a stanza */
    const char *text; /* after XML_SCAN_FAULT */
    const char *condition;
};

enum xml_scan_result {
    XML_SCAN_MORE, /* no tag ends in these bytes */
    XML_SCAN_TAG,  /* a tag, or the XML declaration, ends with the last byte used */
    XML_SCAN_FAULT,
};

/* xml_scan_enter - go on at place; said at first and after each XML_SCAN_TAG. */
void xml_scan_enter(struct xml_scan *scan, enum xml_scan_place place);

/* xml_scan_next - look at len bytes; *used says how many were looked at, the faulty one included.  On XML_SCAN_FAULT
 * condition is a stream error condition and text a static text for people. */
MUSTCHECK enum xml_scan_result xml_scan_next(struct xml_scan *scan, const uint8_t *data, size_t len, size_t *used);

bool xml_scan_is_white(uint8_t c);

#endif
