/* delay - when a stanza was sent that is delivered later.
 *
 * Source: XEP-0203, and XEP-0082 for the form of a time. */
#ifndef POSTERN_BACKEND_DELAY_H
#define POSTERN_BACKEND_DELAY_H

#include "backend/elem.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stdint.h>

enum { DELAY_STAMP_BYTES = 32 }; /* with its NUL */

/* delay_stamp - milliseconds since 1970 as 2002-09-10T23:08:25Z.  Returns out. */
const char *delay_stamp(int64_t ms, char out[DELAY_STAMP_BYTES]);

/* delay_stamp_exact - likewise with its milliseconds: 2002-09-10T23:08:25.012Z. */
const char *delay_stamp_exact(int64_t ms, char out[DELAY_STAMP_BYTES]);

/* delay_add - say in the stanza that from (a host of ours) has had it since then, unless it says so already. */
void delay_add(struct elem *stanza, const char *from, int64_t ms);

/* delay_strip - take out what a client says in the name of the host from.  Source: XEP-0203 section 5. */
void delay_strip(struct elem *stanza, const char *from);

/* delay_read - such a time, also with a fraction or an offset, or as XEP-0091 has it, as milliseconds since 1970.
 * Returns whether it is one. */
MUSTCHECK bool delay_read(const char *stamp, int64_t *ms);

/* delay_now - milliseconds since 1970. */
int64_t delay_now(void);

#endif
