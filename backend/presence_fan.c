#include "backend/presence_fan.h"

#include "backend/blocking.h"
#include "backend/delay.h"
#include "backend/directed.h"
#include "backend/ns.h"
#include "backend/presence.h"
#include "backend/roster.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/user.h"

#include <stdlib.h>
#include <string.h>

#define START     "<presence"
#define TO        START " to='"
#define START_LEN (sizeof(START) - 1)

enum { ROOM_BYTES = sizeof(TO) + JID_MAX_BYTES + 1 }; /* for the start of the stanza, its "to" and a quotation mark */

void presence_fan_open(struct presence_fan *fan, const struct session *session, const struct stanza *stanza)
{
    *fan = (struct presence_fan){session, stanza->type, blocking_is_simple(session->user), NULL, 0};
    if (!fan->usable) return;
    struct buf text = {0};
    elem_print(stanza->elem, NS_CLIENT, &text);
    CHECK(buf_len(&text) > START_LEN && memcmp(buf_data(&text), START, START_LEN) == 0);
    fan->tail_len = buf_len(&text) - START_LEN;
    fan->text = mem_realloc(NULL, ROOM_BYTES + fan->tail_len);
    memcpy(fan->text + ROOM_BYTES, buf_data(&text) + START_LEN, fan->tail_len);
    buf_free(&text);
}

void presence_fan_close(struct presence_fan *fan)
{
    free(fan->text);
    fan->text = NULL;
}

/* write_to - the start is written so that it ends where the rest begins.  An address of ours has nothing to escape. */
static const char *write_to(const struct presence_fan *fan, const char *bare, size_t *len)
{
    const size_t bare_len = strlen(bare), head_len = sizeof(TO) - 1 + bare_len + 1;
    char *start = fan->text + ROOM_BYTES - head_len;
    memcpy(start, TO, sizeof(TO) - 1);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the text goes on */
    memcpy(start + sizeof(TO) - 1, bare, bare_len);
    start[head_len - 1] = '\'';
    *len = head_len + fan->tail_len;
    return start;
}

/* is_near - whether the address is of the same host, and its owner this shard. */
static bool is_near(const struct session *session, const char *bare)
{
    const struct shard *shard = session->user->shard;
    const char *at = strchr(bare, '@');
    if (!at || strcmp(at + 1, session->jid->domain) != 0) return false;
    return shard->backend->shard_count == 1 || shard_of(shard->backend, bare) == shard;
}

static void give(const struct presence_fan *fan, struct user *user)
{
    size_t len = 0;
    bool given = false;
    const char *text = write_to(fan, user->bare, &len);
    LIST_EACH (link, &user->sessions) {
        struct session *session = LIST_ENTRY(link, struct session, link);
        if (fan->type == STANZA_UNAVAILABLE) directed_remove(&session->directed, fan->session->jid->full);
        if (!session->available) continue;
        session_send_presence(session, text, len);
        given = true;
    }
    if (!given) shard_count(user->shard, COUNTER_STANZAS_DROPPED);
}

bool presence_fan_put(const struct presence_fan *fan, const char *bare)
{
    if (!fan->usable || !is_near(fan->session, bare)) return false;
    struct user *user = user_find(fan->session->user->shard, bare);
    if (!user || list_empty(&user->sessions)) {
        shard_count(fan->session->user->shard, COUNTER_STANZAS_DROPPED);
        return true;
    }
    if (!user_is_open(user) || !blocking_is_simple(user)) return false;
    user_begin(user);
    give(fan, user);
    user_end(user);
    return true;
}

/* print_recall - what a session has said last, to another one, with the time: as presence_recall. */
static void print_recall(const struct session *session, const struct jid *to, struct buf *out)
{
    static const char END[] = "</presence>";
    const struct presence *last = session->presence;
    char stamp[DELAY_STAMP_BYTES];
    const bool empty = last->len >= 2 && memcmp(last->text + last->len - 2, "/>", 2) == 0;
    const size_t end_len = empty ? 2 : sizeof(END) - 1;
    CHECK(last->len >= START_LEN + end_len);
    buf_append(out, START " from='", START_LEN + 7);
    elem_escape(session->jid->full, strlen(session->jid->full), out);
    buf_append(out, "' to='", 6);
    elem_escape(to->full, strlen(to->full), out);
    buf_append(out, "'", 1);
    buf_append(out, last->text + START_LEN, last->len - START_LEN - end_len);
    buf_append_str(out, empty ? "><delay xmlns='" NS_DELAY "' from='" : "<delay xmlns='" NS_DELAY "' from='");
    elem_escape(session->jid->domain, strlen(session->jid->domain), out);
    buf_append(out, "' stamp='", 9);
    buf_append_str(out, delay_stamp(last->stamp_ms, stamp));
    buf_append_str(out, "'/></presence>");
}

/* Whether all that there is to tell is what available sessions have said: the user is subscribed, and none that is not
 * available has sent it directed presence. */
static bool is_plain(const struct user *contact, const struct user *user)
{
    const struct roster_item *item = roster_find(contact, user->bare);
    if (!item || !(item->flags & ROSTER_FROM)) return false;
    LIST_EACH (link, &contact->sessions) {
        const struct session *session = LIST_ENTRY(link, struct session, link);
        if (!session->available && session->directed) return false;
    }
    return true;
}

bool presence_gather(struct session *session, const char *bare)
{
    const struct user *user = session->user;
    /* what waits for the user came first */
    if (!blocking_is_simple(user) || !list_empty(&user->held) || !is_near(session, bare)) return false;
    const struct user *contact = user_find(user->shard, bare);
    if (!contact || list_empty(&contact->sessions)) return true;
    if (!user_is_open(contact) || !blocking_is_simple(contact) || !is_plain(contact, user)) return false;
    LIST_EACH (link, &contact->sessions) {
        const struct session *other = LIST_ENTRY(link, struct session, link);
        if (!other->available) continue;
        struct buf text = {0};
        print_recall(other, session->jid, &text);
        session_send_presence(session, (const char *)buf_data(&text), buf_len(&text));
        buf_free(&text);
    }
    return true;
}
