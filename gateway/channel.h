/* channel - messages between the master and one of its workers.
 *
 * A message is a JSON object with the member "type", which picks the row that handles it, and at most one descriptor.
 * It is one packet of a SOCK_SEQPACKET pair, or, when it is long, one sealed memfd.  A side that asks gives the message
 * an "id", and the answer is {"type": "answer", "id": …, "result": …}.
 *
 * What comes is not trusted: it is bounded, and what is no message ends the channel. */
#ifndef POSTERN_GATEWAY_CHANNEL_H
#define POSTERN_GATEWAY_CHANNEL_H

#include "lib/check.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct channel;
struct loop;

/* fn handles a message; it is borrowed and its members are not checked yet.  *fd is what came with it or -1; who takes
 * it sets -1, else it is closed.  fn may not free the channel. */
struct channel_row {
    const char *type;
    void (*fn)(struct channel *channel, const json_t *message, int *fd, void *arg);
};

/* Called once, after which nothing is read: the other side has ended (why is NULL), or said what is no message.  May
 * free the channel. */
typedef void channel_gone_fn(void *arg, const char *why);

/* channel_new - begin to read messages from fd (taken, non-blocking).  rows are borrowed for ever; a message that no
 * row knows ends the channel. */
MUSTCHECK struct channel *channel_new(struct loop *loop, int fd, const struct channel_row *rows, size_t row_count,
                                      channel_gone_fn *gone, void *arg);

/* channel_free - close it; what is not sent yet is lost, and who waits for its answer gets none. */
void channel_free(struct channel **channel);

/* channel_fd - the socket, to hand it on; it stays the channel's. */
int channel_fd(const struct channel *channel);

/* channel_send - send a message (takes the reference) with fd (kept by the caller; -1: none).  What the socket does not
 * take at once is sent later.  Returns 0, or -1 and errno: the other side has ended, or has not read for long
 * (ENOBUFS), or the message is too long. */
int channel_send(struct channel *channel, json_t *message, int fd);

/* channel_answer - answer a message that asked (takes result; NULL: null); nothing is sent if it did not ask. */
void channel_answer(struct channel *channel, const json_t *message, json_t *result);

/* channel_ask - send a message (takes the reference) to several channels, and call fn once with an array of what they
 * answered, in their order: null for whoever did not within timeout_ms, or has gone.  fn borrows the array.  It is
 * called from the loop, from channel_free, or at once when nobody could be asked. */
typedef void channel_answers_fn(const json_t *answers, void *arg);
void channel_ask(struct loop *loop, struct channel *const *channels, size_t count, json_t *message, int64_t timeout_ms,
                 channel_answers_fn *fn, void *arg);

#endif
