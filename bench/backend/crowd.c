/* crowd - commands for what clients do first: they ask for their rosters, and become available. */
#include "bench/backend/answer.h"
#include "bench/backend/commands.h"
#include "bench/backend/manners.h"
#include "bench/backend/ring.h"
#include "bench/common/generator.h"

#include <stdlib.h>

enum {
    AT_ONCE = 100,  /* rosters */
    QUIET_MS = 500, /* so long nothing comes when all has come */
    COPIES_MAX =
        2, /* of one presence: who comes is told of another one by that one's presence and by a probe's answer */
};

static struct histogram latency, late;
static struct ring ring;
static uint64_t sent, received, first_sights;
static uint8_t *copies; /* for each session, of the presence of each contact */

static void begin(uint32_t contacts, const struct handlers *handlers)
{
    ring = ring_of_all(contacts);
    latency = late = (struct histogram){0};
    sent = received = first_sights = 0;
    session_handle(handlers);
    answer_begin();
}

static void on_roster(struct session *session, const struct arrival *arrival)
{
    const char *why = ring_roster(&ring, session->user, arrival);
    if (why != NULL) session_fail(session, why, arrival->element.all);
    histogram_add(&latency, arrival->at_ns - session->since_ns);
    received++;
}

static const struct handlers asking = {.answer = on_roster};

void commands_roster(const struct arguments *arguments)
{
    static const char query[] = "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>";
    uint64_t at_once = arguments->count > 1 ? (uint64_t)arguments->at[1] : AT_ONCE, wanted = session_ready();
    begin((uint32_t)arguments->at[0], &asking);
    for (uint32_t i = 0; received < wanted; session_wait("rosters"))
        for (struct session *session; sent - received < at_once && (session = session_at(i)) != NULL; i++) {
            if (session->state != SESSION_READY) continue;
            session->since_ns = now_ns();
            session_send(session, query, sizeof(query) - 1, 1);
            sent++;
        }
    answer_stop();
    session_handle(NULL);
    answer_number("count", (double)received);
    answer_histogram("latency", &latency);
    answer_end();
}

static void on_presence(struct session *session, const struct arrival *arrival)
{
    struct text all = arrival->element.all, type = arrival->stanza.type;
    bool bare;
    const struct session *sender = ring_sender(arrival->stanza.from, &bare);
    received++;
    /* A server may say who is not there (RFC 6121 section 4.3.2). */
    if (sender != NULL && bare && type.at != NULL && text_is(type, TEXT("unavailable"))) return;
    if (type.at != NULL) session_fail(session, "a presence that says something else", all);
    if (sender == NULL || bare || !sender->available) session_fail(session, "a presence from nobody who sent one", all);
    if (sender == session) return; /* what a server tells a user's other clients, it may tell all of them */
    int index = ring_index(&ring, session->user, sender->user);
    if (index < 0) session_fail(session, "a presence from somebody who is no contact", all);
    uint8_t *seen = &copies[(size_t)session->index * ring.contacts + (size_t)index];
    if (++*seen > COPIES_MAX) session_fail(session, "a presence too often", all);
    if (*seen > 1) return;
    first_sights++;
    int64_t both_ns = sender->since_ns > session->since_ns ? sender->since_ns : session->since_ns;
    histogram_add(&latency, arrival->at_ns - both_ns);
}

static const struct handlers coming = {.presence = on_presence};

static void come(struct session *session, int64_t due_ns)
{
    static char data[512];
    static size_t len;
    if (len == 0) len = manners_presence(data, sizeof(data), "");
    session->since_ns = due_ns;
    session->available = true;
    session_send(session, data, len, 1);
    sent++;
}

void commands_available(const struct arguments *arguments)
{
    double per_second = arguments->count > 1 ? arguments->at[0] : 0;
    uint32_t contacts = (uint32_t)arguments->at[arguments->count - 1];
    begin(contacts, &coming);
    if (session_ready() != ring.users) fail("%u of %u users are logged in", session_ready(), ring.users);
    free(copies);
    copies = calloc((size_t)ring.users * contacts + 1, 1);
    if (copies == NULL) fail("out of memory");
    int64_t due_ns = now_ns();
    for (struct session *session; (session = session_at((uint32_t)sent)) != NULL;) {
        int64_t at_ns = now_ns();
        if (per_second > 0 && due_ns > at_ns) {
            session_turn(due_ns - at_ns);
            continue;
        }
        if (per_second > 0) histogram_add(&late, at_ns - due_ns);
        come(session, per_second > 0 ? due_ns : at_ns);
        if (per_second > 0) due_ns += random_gap_ns(per_second);
        session_turn(0);
    }
    while (first_sights < (uint64_t)ring.users * contacts)
        session_wait("presences of contacts");
    answer_stop();
    while (session_turn(QUIET_MS * 1000000LL) > 0) {}
    session_handle(NULL);
    answer_number("count", (double)sent);
    answer_number("received", (double)received);
    answer_histogram("latency", &latency);
    if (per_second > 0) answer_histogram("late", &late);
    answer_end();
}
