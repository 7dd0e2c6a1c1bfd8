/* waiting - those who gave a command over the control socket and wait for its outcome. */
#ifndef POSTERN_LIB_WAITING_H
#define POSTERN_LIB_WAITING_H

#include <stddef.h>

struct control_request;

struct waiting {
    size_t count;
    struct control_request **requests;
};

/* waiting_add - request may be NULL: a signal waits for nothing. */
void waiting_add(struct waiting *waiting, struct control_request *request);

/* waiting_answer - tell all that it is done, or what was wrong (fault), and forget them. */
void waiting_answer(struct waiting *waiting, const char *fault);

#endif
