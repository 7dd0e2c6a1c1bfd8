/* elem_parse - an element from text that we have printed ourselves, as it lies in the store. */
#ifndef POSTERN_BACKEND_ELEM_PARSE_H
#define POSTERN_BACKEND_ELEM_PARSE_H

#include "backend/elem.h"
#include "backend/xml.h"
#include "lib/check.h"

/* elem_parse - one element in an arena of its own, the caller's to free with elem_free; where it names no namespace it
 * is in jabber:client.  NULL: the text is no such element, or goes on behind it.  parser is made when it is NULL, and
 * kept by the caller for the next one (xml_free). */
MUSTCHECK struct elem *elem_parse(struct xml **parser, const char *text, size_t len);

#endif
