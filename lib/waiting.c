#include "lib/waiting.h"

#include "lib/control.h"
#include "lib/mem.h"

#include <stdlib.h>

void waiting_add(struct waiting *waiting, struct control_request *request)
{
    if (request == NULL) return;
    waiting->requests = mem_realloc(waiting->requests, (waiting->count + 1) * sizeof(struct control_request *));
    waiting->requests[waiting->count++] = request;
}

void waiting_answer(struct waiting *waiting, const char *fault)
{
    for (size_t i = 0; i < waiting->count; i++) {
        if (fault == NULL)
            control_reply(waiting->requests[i], NULL);
        else
            control_fail(waiting->requests[i], "unavailable", "%s", fault);
    }
    free(waiting->requests);
    *waiting = (struct waiting){0};
}
