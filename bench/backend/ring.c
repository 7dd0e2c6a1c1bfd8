#include "bench/backend/ring.h"

#include "bench/common/generator.h"

enum { CONTACTS_MAX = 1024 };

struct ring ring_of_all(uint32_t contacts)
{
    uint32_t users = 0;
    while (session_find(users) != NULL)
        users++;
    if (contacts % 2 != 0 || contacts >= users || contacts > CONTACTS_MAX)
        fail("%u contacts of %u users are no ring", contacts, users);
    return (struct ring){.users = users, .contacts = contacts};
}

int ring_index(const struct ring *ring, uint32_t user, uint32_t other)
{
    if (other >= ring->users || other == user) return -1;
    uint32_t half = ring->contacts / 2, ahead = (other + ring->users - user) % ring->users,
             behind = ring->users - ahead;
    if (ahead <= half) return (int)(ahead - 1);
    return behind <= half ? (int)(half + behind - 1) : -1;
}

uint32_t ring_contact(const struct ring *ring, uint32_t user, uint32_t index)
{
    uint32_t half = ring->contacts / 2;
    return index < half ? (user + index + 1) % ring->users : (user + ring->users - (index - half) - 1) % ring->users;
}

/* "user17@…"; false: no such address. */
static bool parse_user(struct text jid, uint32_t *user)
{
    static const char prefix[] = "user";
    size_t at = sizeof(prefix) - 1;
    uint64_t number = 0;
    if (jid.len <= at || memcmp(jid.at, prefix, at) != 0) return false;
    for (; at < jid.len && jid.at[at] >= '0' && jid.at[at] <= '9' && number < UINT32_MAX; at++)
        number = 10 * number + (uint64_t)(jid.at[at] - '0');
    *user = (uint32_t)number;
    return at < jid.len && jid.at[at] == '@' && number < UINT32_MAX;
}

struct session *ring_sender(struct text from, bool *bare)
{
    uint32_t user;
    if (from.at == NULL || !parse_user(from, &user)) return NULL;
    struct session *session = session_find(user);
    if (session == NULL || session->jid == NULL) return NULL;
    if (bare != NULL) *bare = memchr(from.at, '/', from.len) == NULL;
    if (bare != NULL && *bare)
        return session->jid[from.len] == '/' && strncmp(session->jid, from.at, from.len) == 0 ? session : NULL;
    return text_is(from, (struct text){session->jid, session->jid_len}) ? session : NULL;
}

const char *ring_roster(const struct ring *ring, uint32_t user, const struct arrival *arrival)
{
    bool seen[CONTACTS_MAX] = {false};
    uint32_t count = 0, contact;
    struct text rest = arrival->element.all, all = rest;
    if (!text_is(arrival->stanza.type, TEXT("result"))) return "a roster is refused";
    for (const char *item; (item = text_find(rest, TEXT("<item "))) != NULL; count++) {
        rest = (struct text){item + 1, (size_t)(all.at + all.len - item - 1)};
        const char *end = memchr(item, '>', (size_t)(all.at + all.len - item));
        struct text tag = {item, (size_t)(end - item)};
        if (!text_is(scan_attribute(tag, TEXT("subscription")), TEXT("both"))) return "a contact without subscription";
        struct text jid = scan_attribute(tag, TEXT("jid"));
        int index = jid.at != NULL && parse_user(jid, &contact) ? ring_index(ring, user, contact) : -1;
        if (index < 0) return "a contact that is none";
        if (seen[index]) return "a contact that is there twice";
        seen[index] = true;
    }
    return count == ring->contacts ? NULL : "contacts are missing in a roster";
}
