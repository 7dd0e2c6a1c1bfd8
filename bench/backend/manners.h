/* manners - what a client answers when the server asks something by itself. */
#ifndef POSTERN_BENCH_BACKEND_MANNERS_H
#define POSTERN_BENCH_BACKEND_MANNERS_H

#include "bench/backend/session.h"

/* manners_answer - an iq of type get or set: a result for a roster push, a ping and disco#info, for others the error
 * service-unavailable. */
void manners_answer(struct session *session, const struct arrival *arrival);

/* manners_on_element - what is no stanza: stream management (XEP-0198). */
void manners_on_element(struct session *session, const struct scan_element *element);

/* manners_acknowledge - say how many stanzas have come. */
void manners_acknowledge(struct session *session);

/* manners_presence - available presence with our capabilities (XEP-0115); inside: more elements.  Returns its length.
 */
size_t manners_presence(char *out, size_t cap, const char *inside);

/* manners_answered - how many iqs of the server were answered. */
uint64_t manners_answered(void);

#endif
