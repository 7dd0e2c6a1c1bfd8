#include "backend/last.h"

#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/presence.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATUS_MAX_BYTES = 1024 }; /* longer ones are cut, at a character's end */

bool last_read(struct shard *shard, const struct store_record *records, size_t count, int64_t *at_s, char **status)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].kind != STORE_LAST) continue;
        struct elem *elem = elem_parse(&shard->parser, records[i].value, strlen(records[i].value));
        const char *at = elem ? elem_get(elem, "at") : NULL;
        if (at) {
            size_t len = 0;
            const char *text = elem_text(elem, &len);
            *at_s = strtoll(at, NULL, 10);
            *status = len > 0 ? mem_strdup(text) : NULL;
        }
        elem_free(&elem);
        return at != NULL;
    }
    return false;
}

/* In memory, for those who ask by a probe. */
struct last {
    int64_t at_s;
};

void *last_load(struct user *user, const struct store_record *records, size_t count)
{
    int64_t at_s = 0;
    char *status = NULL;
    if (!last_read(user->shard, records, count, &at_s, &status)) return NULL;
    free(status);
    struct last *last = MEM_NEW(struct last);
    last->at_s = at_s;
    return last;
}

void last_free(void *part)
{
    free(part);
}

int64_t last_seen_s(const struct user *user)
{
    const struct last *last = user->parts[USER_PART_LAST];
    return last ? last->at_s : 0;
}

static void note(struct user *user, int64_t now_s)
{
    if (!user->parts[USER_PART_LAST]) user->parts[USER_PART_LAST] = MEM_NEW(struct last);
    struct last *last = user->parts[USER_PART_LAST];
    last->at_s = now_s;
}

static void ignore(enum store_status status, void *arg)
{
    (void)status; /* the log has it */
    (void)arg;
}

/* At most so many bytes, and no part of a character. */
static size_t cut(const char *text, size_t len)
{
    if (len <= STATUS_MAX_BYTES) return len;
    len = STATUS_MAX_BYTES;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void last_on_presence(struct user *user, struct session *session, const struct presence_change *change)
{
    if (session->available || user->temporary) return;
    LIST_EACH (link, &user->sessions) {
        const struct session *other = LIST_ENTRY(link, struct session, link);
        if (other != session && other->available) return;
    }
    char at[24];
    const int64_t now_s = (int64_t)time(NULL);
    note(user, now_s);
    snprintf(at, sizeof(at), "%" PRId64, now_s);
    struct elem *elem = elem_new(arena_new(), NS_LAST, "query");
    const struct elem *status = elem_child(change->stanza->elem, NS_CLIENT, "status");
    elem_set(elem, "at", at);
    if (status) {
        size_t len = 0;
        const char *text = elem_text(status, &len);
        elem_add_text(elem, text, cut(text, len));
    }
    struct buf text = {0};
    elem_print(elem, NS_CLIENT, &text);
    buf_append(&text, "", 1);
    const struct store_record record = {STORE_LAST, "", (const char *)buf_data(&text)};
    store_records_change(user->shard->backend->store, user->shard->mailbox, user->bare, &record, 1, ignore, NULL);
    buf_free(&text);
    elem_free(&elem);
}
