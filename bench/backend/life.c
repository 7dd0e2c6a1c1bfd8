#include "bench/backend/life.h"

#include "bench/backend/hex.h"
#include "bench/backend/manners.h"
#include "bench/common/generator.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_CHARS = 8, DUE_CHARS = 16 }; /* in the status of a presence */

static struct ring ring;
static struct life_totals totals;
static uint32_t *letters; /* by number: 1 + the user it is for; 0: it has come */
static uint32_t letters_cap;

void life_begin(const struct ring *wanted)
{
    struct session *session;
    if (ring.users > 0 && (ring.users != wanted->users || ring.contacts != wanted->contacts))
        fail("another ring of contacts than before in this run");
    ring = *wanted;
    for (uint32_t i = 0; (session = session_at(i)) != NULL; i++) {
        if (!session->available) session_fail(session, "it is not available", (struct text){NULL, 0});
        if (session->life == NULL)
            session->life = calloc(1, sizeof(struct life) + ring.contacts * sizeof(struct life_contact));
        if (session->life == NULL) fail("out of memory");
    }
}

struct life *life_of(const struct session *session)
{
    return session->life;
}

bool life_awaits(const struct session *session)
{
    return !life_of(session)->away;
}

const struct life_totals *life_totals(void)
{
    return &totals;
}

void life_back(struct session *session, int64_t at_ns)
{
    struct life *life = life_of(session);
    life->away = false;
    life->back_ns = at_ns;
    session->available = true;
    for (uint32_t i = 0; i < ring.contacts; i++) {
        struct life_contact *contact = &life->contacts[i];
        contact->presence_since = life_of(session_find(ring_contact(&ring, session->user, i)))->presence;
        contact->presence_due = 0;
    }
}

static uint32_t number_letter(uint32_t user)
{
    uint32_t number = (uint32_t)++totals.letters_sent;
    if (number >= letters_cap) {
        letters_cap = 2 * number + 1024;
        letters = realloc(letters, letters_cap * sizeof(*letters));
        if (letters == NULL) fail("out of memory");
    }
    letters[number] = 1 + user;
    return number;
}

void life_letter(struct session *from, const struct session *to, int64_t due_ns)
{
    char data[2048];
    struct text jid = {to->jid, to->jid_len};
    if (jid.len > sizeof(data) - LETTER_MAX_BYTES) session_fail(to, "a long address", jid);
    struct letter letter = {.number = number_letter(to->user), .sender = from->user, .due_ns = due_ns};
    life_of(to)->under_way++;
    session_send(from, data, letter_write(data, jid, &letter), 1);
}

int64_t life_on_letter(struct session *session, const struct arrival *arrival)
{
    struct letter letter;
    struct text all = arrival->element.all;
    const char *why = letter_read(all, &arrival->stanza, &letter);
    if (why != NULL) session_fail(session, why, all);
    const struct session *sender = ring_sender(arrival->stanza.from, NULL);
    if (sender == NULL || sender->user != letter.sender) session_fail(session, "a message from a wrong sender", all);
    int index = ring_index(&ring, session->user, sender->user);
    if (index < 0 || letter.number > totals.letters_sent) session_fail(session, "a message that nobody wrote", all);
    if (letters[letter.number] == 0) session_fail(session, "a message that came before", all);
    if (letters[letter.number] != 1 + session->user) session_fail(session, "a message to somebody else", all);
    struct life_contact *contact = &life_of(session)->contacts[index];
    if (letter.number < contact->letter) session_fail(session, "a message that comes too late", all);
    contact->letter = letter.number;
    letters[letter.number] = 0;
    life_of(session)->under_way--;
    totals.letters_come++;
    return letter.due_ns;
}

void life_presence(struct session *session, int64_t due_ns)
{
    static const char *const shows[] = {"", "<show>away</show>", "<show>dnd</show>", "<show>xa</show>"};
    char inside[256], data[1024];
    struct life *life = life_of(session);
    uint32_t number = ++life->presence;
    snprintf(inside, sizeof(inside), "%s<status>%08x %016llx</status>", shows[number % 4], number,
             (unsigned long long)due_ns);
    session_send(session, data, manners_presence(data, sizeof(data), inside), 1);
    for (uint32_t i = 0; i < ring.contacts; i++) {
        const struct session *other = session_find(ring_contact(&ring, session->user, i));
        if (!life_awaits(other)) continue;
        struct life_contact *contact = &life_of(other)->contacts[ring_index(&ring, other->user, session->user)];
        if (contact->presence >= contact->presence_due) life_of(other)->under_way++;
        contact->presence_due = number;
        totals.presences_sent++;
    }
}

/* Take the next of a contact's presences; whether it was awaited. */
static bool take_presence(struct session *session, struct life_contact *contact, uint32_t number, struct text all)
{
    uint32_t last = contact->presence > contact->presence_since ? contact->presence : contact->presence_since;
    if (number < contact->presence) session_fail(session, "an old presence behind a new one", all);
    bool gone = life_of(session)->away && !life_of(session)->leaving; /* it has missed some, and learns the last */
    if (number > last + 1 && !gone) session_fail(session, "a presence is missing before this one", all);
    if (number == contact->presence) return false;
    bool awaited = number > contact->presence_since && number <= contact->presence_due;
    if (contact->presence < contact->presence_due && number >= contact->presence_due) life_of(session)->under_way--;
    contact->presence = number;
    if (awaited) totals.presences_come++;
    return awaited;
}

int64_t life_on_presence(struct session *session, const struct arrival *arrival)
{
    struct text all = arrival->element.all, type = arrival->stanza.type;
    bool bare;
    const struct session *sender = ring_sender(arrival->stanza.from, &bare);
    if (sender == NULL) session_fail(session, "a presence from a wrong sender", all);
    if (sender == session) return 0;
    int index = ring_index(&ring, session->user, sender->user);
    if (index < 0) session_fail(session, "a presence from somebody who is no contact", all);
    if (type.at != NULL && text_is(type, TEXT("unavailable"))) return 0;
    if (type.at != NULL || bare) session_fail(session, "a presence that says something else", all);
    struct text status = scan_inside(all, TEXT("status"));
    uint64_t number, due_ns;
    if (status.at == NULL) return 0; /* the first one, before the day began */
    if (status.len != NUMBER_CHARS + 1 + DUE_CHARS || !hex_read(status.at, NUMBER_CHARS, &number) ||
        status.at[NUMBER_CHARS] != ' ' || !hex_read(status.at + NUMBER_CHARS + 1, DUE_CHARS, &due_ns) ||
        number > life_of(sender)->presence)
        session_fail(session, "a presence that was changed", all);
    bool awaited = take_presence(session, &life_of(session)->contacts[index], (uint32_t)number, all);
    return awaited && (int64_t)due_ns > life_of(session)->back_ns ? (int64_t)due_ns : 0;
}
