#include "lib/mailbox.h"

#include "lib/mem.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAILBOX_MAGIC = 0x6d61696c };

struct mailbox_call {
    struct mailbox_call *next;
    mailbox_fn *fn;
    void *arg;
};

/* The eventfd is raised if and only if first is not NULL; both change under the lock.  batch belongs to the reader
 * alone: what it has taken and not yet called. */
struct mailbox {
    unsigned magic;
    int wake_fd;
    struct event *event;
    struct mailbox_call *batch;
    bool calling, freed; /* a call that frees the mailbox leaves the struct itself to mailbox_on_wake */
    pthread_mutex_t lock;
    struct mailbox_call *first, **tail;
};

static void mailbox_raise(struct mailbox *mailbox)
{
    uint64_t one = 1;
    CHECK(write(mailbox->wake_fd, &one, sizeof(one)) == sizeof(one));
}

static void mailbox_take(struct mailbox *mailbox)
{
    uint64_t count;
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->first) CHECK(read(mailbox->wake_fd, &count, sizeof(count)) == sizeof(count));
    mailbox->batch = mailbox->first;
    mailbox->first = NULL;
    mailbox->tail = &mailbox->first;
    pthread_mutex_unlock(&mailbox->lock);
}

/* What is posted meanwhile waits for the next turn: two mailboxes that answer each other starve nothing else. */
static void mailbox_make_calls(struct mailbox *mailbox)
{
    mailbox_take(mailbox);
    mailbox->calling = true;
    while (mailbox->batch) {
        struct mailbox_call call = *mailbox->batch;
        free(mailbox->batch);
        mailbox->batch = call.next;
        call.fn(call.arg);
    }
    mailbox->calling = false;
    if (mailbox->freed) free(mailbox);
}

static void mailbox_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct mailbox *mailbox = arg;
    (void)fd, (void)what;
    CHECK_MAGIC(mailbox, MAILBOX_MAGIC);
    mailbox_make_calls(mailbox);
}

bool mailbox_drain(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    const bool any = mailbox->first != NULL;
    pthread_mutex_unlock(&mailbox->lock);
    if (any) mailbox_make_calls(mailbox);
    return any;
}

struct mailbox *mailbox_new(struct loop *loop)
{
    struct mailbox *mailbox = MEM_NEW(struct mailbox);
    mailbox->magic = MAILBOX_MAGIC;
    mailbox->tail = &mailbox->first;
    CHECK(pthread_mutex_init(&mailbox->lock, NULL) == 0);
    mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(mailbox->wake_fd >= 0);
    mailbox->event = event_new(loop_base(loop), mailbox->wake_fd, EV_READ | EV_PERSIST, mailbox_on_wake, mailbox);
    CHECK(mailbox->event && event_add(mailbox->event, NULL) == 0);
    return mailbox;
}

static void mailbox_drop(struct mailbox_call *call)
{
    while (call) {
        struct mailbox_call *next = call->next;
        free(call);
        call = next;
    }
}

void mailbox_free(struct mailbox **mailbox)
{
    struct mailbox *m = *mailbox;
    if (!m) return;
    CHECK_MAGIC(m, MAILBOX_MAGIC);
    *mailbox = NULL;
    /* The sender of the last call may still be inside mailbox_post: wait until it has let go. */
    pthread_mutex_lock(&m->lock);
    pthread_mutex_unlock(&m->lock);
    mailbox_drop(m->batch);
    m->batch = NULL;
    mailbox_drop(m->first);
    event_free(m->event);
    close(m->wake_fd);
    pthread_mutex_destroy(&m->lock);
    m->magic = 0;
    m->freed = true;
    if (!m->calling) free(m);
}

void mailbox_post(struct mailbox *mailbox, mailbox_fn *fn, void *arg)
{
    struct mailbox_call *call = MEM_NEW(struct mailbox_call);
    call->fn = fn;
    call->arg = arg;
    pthread_mutex_lock(&mailbox->lock);
    bool was_empty = mailbox->first == NULL;
    *mailbox->tail = call;
    mailbox->tail = &call->next;
    if (was_empty) mailbox_raise(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
}
