/* stanza_id - the id by which an archive knows a message, told to those who may read the archive.
 *
 * Source: XEP-0359. */
#ifndef POSTERN_BACKEND_STANZA_ID_H
#define POSTERN_BACKEND_STANZA_ID_H

#include "backend/stanza.h"
#include "lib/buf.h"
#include "lib/check.h"

#include <stdint.h>

enum { STANZA_ID_BYTES = 21 }; /* as text, with its NUL */

/* stanza_id_write - as clients see it.  Returns out. */
const char *stanza_id_write(uint64_t id, char out[STANZA_ID_BYTES]);

/* stanza_id_read - the id of such a text.  false: it is none of ours. */
MUSTCHECK bool stanza_id_read(const char *text, uint64_t *id);

/* stanza_id_append - put <stanza-id/> in as the last child of a message, with content, that is the last thing in out.
 */
void stanza_id_append(struct buf *out, const char *by, uint64_t id);

/* stanza_id_strip - take out what others say in the name of the (prepared) bare address by.  Source: section 3, rules 2
 * and 7. */
void stanza_id_strip(struct stanza *stanza, const char *by);

#endif
