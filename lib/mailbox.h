/* mailbox - calls posted from any thread to the thread that runs a loop.
 *
 * Calls run in the order in which they were posted by any one thread. */
#ifndef POSTERN_LIB_MAILBOX_H
#define POSTERN_LIB_MAILBOX_H

#include "lib/loop.h"

#include <stdbool.h>

struct mailbox;

typedef void mailbox_fn(void *arg);

/* mailbox_new - a mailbox read by loop, woken by an eventfd. */
struct mailbox *mailbox_new(struct loop *loop);

/* mailbox_free - calls that are still waiting are dropped: drain or stop the senders first.  May be called
 * from within a call. */
void mailbox_free(struct mailbox **mailbox);

/* mailbox_drain - make the calls that are waiting, on this thread: when the loop does not run any more.  Returns
 * whether there were any. */
bool mailbox_drain(struct mailbox *mailbox);

/* mailbox_post - have fn(arg) called on the mailbox's thread.  Any thread; never blocks on the reader. */
void mailbox_post(struct mailbox *mailbox, mailbox_fn *fn, void *arg);

#endif
