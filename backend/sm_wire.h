/* sm_wire - elements of XEP-0198 as they are written. */
#ifndef POSTERN_BACKEND_SM_WIRE_H
#define POSTERN_BACKEND_SM_WIRE_H

#include "backend/elem.h"
#include "lib/buf.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SM_WIRE_TOO_HIGH_BYTES = 160 }; /* for sm_wire_too_high, with its NUL */

/* sm_wire_number - the attribute as an unsignedInt.  false: it has none that is one. */
MUSTCHECK bool sm_wire_number(const struct elem *elem, const char *attribute, uint32_t *out);

/* sm_wire_is_true - whether the attribute is there, and a true boolean. */
bool sm_wire_is_true(const struct elem *elem, const char *attribute);

void sm_wire_ack(uint32_t h, struct buf *out);
void sm_wire_resumed(const char *id, uint32_t h, struct buf *out);
/* sm_wire_failed - condition is one of stanza errors. */
void sm_wire_failed(const char *condition, struct buf *out);

/* sm_wire_too_high - the condition of the stream error for who acknowledges what was not sent, or takes back (section
 * 5). */
void sm_wire_too_high(uint32_t h, uint32_t sent, char out[SM_WIRE_TOO_HIGH_BYTES]);

#endif
