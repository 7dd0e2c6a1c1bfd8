/* dialback - keys that only this server can make, and asking other servers about theirs.
 *
 * The key of a stream is made from its id, both domains and the server's secret, so that nothing has to be kept.
 * Source: XEP-0220, XEP-0185. */
#ifndef POSTERN_BACKEND_DIALBACK_H
#define POSTERN_BACKEND_DIALBACK_H

#include "backend/elem.h"
#include "lib/buf.h"
#include "lib/check.h"
#include "lib/list.h"
#include "lib/loop.h"

#include <stdbool.h>

struct backend;
struct s2s_stream;
struct shard;

enum { DIALBACK_KEY_BYTES = 64 + 1 }; /* hexadecimal, with its NUL */

/* dialback_key - as the originating domain (ours) proves itself to the receiving one on the stream with that id. */
void dialback_key(const struct backend *backend, const char *receiving, const char *originating, const char *id,
                  char out[DIALBACK_KEY_BYTES]);

/* dialback_key_from - the same from the SHA-256 of a secret, in hexadecimal. */
void dialback_key_from(const char *hashed, const char *receiving, const char *originating, const char *id,
                       char out[DIALBACK_KEY_BYTES]);

/* dialback_key_is_ours - in constant time. */
MUSTCHECK bool dialback_key_is_ours(const struct backend *backend, const char *receiving, const char *originating,
                                    const char *id, const char *key);

enum dialback_verdict { DIALBACK_VALID, DIALBACK_INVALID, DIALBACK_ERROR };

/* error: of DIALBACK_ERROR, a stanza error condition's name. */
typedef void dialback_fn(enum dialback_verdict verdict, const char *error, void *arg);

struct dialback;

/* dialback_ask - ask the server of domain, whose shard need not be here, whether a key is its own for a stream of ours
 * (local, id).  fn is called once, later, here; not after dialback_cancel. */
struct dialback *dialback_ask(struct shard *here, const char *domain, const char *local, const char *id,
                              const char *key, dialback_fn *fn, void *arg);
void dialback_cancel(struct dialback **question);

/* What outgoing streams do with questions. */

/* dialback_send - the stream is ready: ask what waits for it.  dialback_drop_asked - its connection is over: what was
 * asked on it will not be answered.  dialback_drop - it has ended. */
void dialback_send(struct s2s_stream *stream);
void dialback_drop_asked(struct s2s_stream *stream);
void dialback_drop(struct s2s_stream *stream);
/* dialback_answer - <db:verify type=…/> on an outgoing stream. */
void dialback_answer(struct s2s_stream *stream, const struct elem *elem);

/* dialback_verify - answer <db:verify/>: whether a key is ours. */
void dialback_verify(struct s2s_stream *stream, const struct elem *elem);

/* dialback_print - <db:NAME from= to= [id=] [type=]>[key]</db:NAME> */
void dialback_print(struct buf *out, const char *name, const char *from, const char *to, const char *id,
                    const char *type, const char *key);

/* dialback_print_error - <db:result type='error'> with the stanza error condition inside. */
void dialback_print_error(struct buf *out, const char *name, const char *from, const char *to, const char *id,
                          const char *condition);

/* dialback_on_silence - no answer in time: for the desk's queue. */
void dialback_on_silence(struct deadline *deadline, void *desk);

#endif
