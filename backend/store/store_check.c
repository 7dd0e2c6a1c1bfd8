#include "backend/store/store_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS_MAX = 100 };

struct check_call {
    struct store_call call;
    struct store_check check;
    const char *texts[TEXTS_MAX];
    store_check_fn *fn;
};

void store_check_fault(struct store_check *check, const char *fmt, ...)
{
    struct check_call *mine = CONTAINER_OF(check, struct check_call, check);
    char *text = NULL;
    va_list args;

    check->findings.faults++;
    if (check->findings.text_count == TEXTS_MAX) return;
    va_start(args, fmt);
    CHECK(vasprintf(&text, fmt, args) >= 0);
    va_end(args);
    mine->texts[check->findings.text_count++] = arena_strdup(check->arena, text);
    free(text);
}

static void work(const struct store_engine *engine, const char *folder, atomic_bool *stop, struct store_call *call)
{
    struct check_call *mine = CONTAINER_OF(call, struct check_call, call);

    mine->check.stop = stop;
    call->status = engine->check(folder, &mine->check);
}

static void answer_check(struct store_call *call)
{
    struct check_call *mine = CONTAINER_OF(call, struct check_call, call);

    mine->check.findings.texts = mine->texts;
    mine->fn(call->status, call->status == STORE_OK ? &mine->check.findings : NULL, call->arg);
}

void store_check(struct store *store, struct mailbox *reply_to, store_check_fn *fn, void *arg)
{
    struct check_call *call = store_call_new(sizeof *call, reply_to, arg);

    call->check.arena = call->call.arena;
    call->fn = fn;
    call->call.answer = answer_check;
    store_call_spawn(store, work, &call->call);
}
