/* sasl_exchange - SASL's elements on a stream: auth, challenge, response, abort, success, failure.
 *
 * The mechanisms are behind sasl.h.  Source: RFC 6120 section 6, XEP-0440 for the channel bindings that are offered. */
#ifndef POSTERN_BACKEND_SASL_EXCHANGE_H
#define POSTERN_BACKEND_SASL_EXCHANGE_H

#include "backend/stream.h"

/* sasl_exchange_new - for a stream behind TLS (borrowed): the channel bindings are read now. */
struct sasl_exchange *sasl_exchange_new(struct stream *stream);
void sasl_exchange_free(struct sasl_exchange **exchange);

/* sasl_exchange_give_up - the stream is closing: an attempt under way is not answered any more. */
void sasl_exchange_give_up(struct sasl_exchange *exchange);

/* sasl_exchange_identify - the stream's host is known now: find out which of its accounts the client's certificate
 * proves.  false: the host requires a certificate that it trusts, and there is none. */
MUSTCHECK bool sasl_exchange_identify(struct sasl_exchange *exchange);

/* sasl_exchange_claim - who the client says it is, in the header of a stream behind TLS; NULL: it does not.  Who then
 * logs in as somebody else is sent away. */
void sasl_exchange_claim(struct sasl_exchange *exchange, const char *from);

/* sasl_exchange_features - the mechanisms and channel bindings, for stream:features; after sasl_exchange_identify. */
void sasl_exchange_features(struct sasl_exchange *exchange, struct buf *out);

/* sasl_exchange_step - a step of the table in stream.c: takes the element, returns what comes next. */
enum stream_state sasl_exchange_step(struct stream *stream, struct elem *elem);

#endif
