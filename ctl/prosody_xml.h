/* prosody_xml - elements as Prosody keeps them, a table with name, attr and content, as XML.
 *
 * Source: preserialize in Prosody's util.stanza. */
#ifndef POSTERN_CTL_PROSODY_XML_H
#define POSTERN_CTL_PROSODY_XML_H

#include "ctl/lua_table.h"
#include "lib/buf.h"
#include "lib/check.h"

#include <stdint.h>

/* prosody_xml_text - append len bytes as character data or as the value of an attribute. */
void prosody_xml_text(struct buf *out, const char *text, size_t len);
/* prosody_xml_attribute - append " name='value'"; value NULL: nothing. */
void prosody_xml_attribute(struct buf *out, const char *name, const char *value);

struct prosody_xml_change {
    const char *ns;   /* of an element that has none of its own */
    const char *from; /* address to say who has kept it; NULL: when it was sent is not told */
};

/* prosody_xml_element - append an element, without what Prosody has added for itself.  Returns 0, or -1 and a static
 * text in why when it is none. */
MUSTCHECK int prosody_xml_element(struct buf *out, const struct lua_value *element,
                                  const struct prosody_xml_change *change, const char **why);

#endif
