/* mixed - the command for a mixed day: what thousands of clients do, each now and then. */
#include "bench/backend/answer.h"
#include "bench/backend/commands.h"
#include "bench/backend/life.h"
#include "bench/common/generator.h"

#include <stdio.h>

enum {
    LAST_WAIT_SECONDS = 30, /* for what is under way at the end */
    TRIES = 64,             /* until somebody is found who has time for what is due */
    KINDS = 5,
    ROSTER = 0, /* queries; the others are to the server, a ping and disco#info */
};

static struct ring ring;
static struct histogram letter_latency, presence_latency, query_latency, login_latency, late;
static uint64_t done[KINDS], skipped, answers, presences_before;
static uint32_t gone; /* clients that are on the way out or in */

static bool write_letter(struct session *session, int64_t due_ns)
{
    uint32_t contact = ring_contact(&ring, session->user, (uint32_t)(random_next() % ring.contacts));
    const struct session *to = session_find(contact);
    if (!life_awaits(to)) return false;
    life_letter(session, to, due_ns);
    return true;
}

static bool say_presence(struct session *session, int64_t due_ns)
{
    life_presence(session, due_ns);
    return true;
}

static void send_query(struct session *session, uint32_t which, int64_t due_ns)
{
    static const char *const queries[LIFE_QUERIES] = {"query xmlns='jabber:iq:roster'", "ping xmlns='urn:xmpp:ping'",
                                                      "query xmlns='http://jabber.org/protocol/disco#info'"};
    char data[1024];
    const char *domain = session_options()->domain;
    bool own = which == ROSTER;
    int len = snprintf(data, sizeof(data), "<iq type='get' id='q%u'%s%s%s><%s/></iq>", which, own ? "" : " to='",
                       own ? "" : domain, own ? "" : "'", queries[which]);
    life_of(session)->asked_ns[which] = due_ns;
    life_of(session)->under_way++;
    session_send(session, data, (size_t)len, 1);
}

static bool ask(struct session *session, int64_t due_ns)
{
    uint32_t which = (uint32_t)(random_next() % LIFE_QUERIES);
    if (life_of(session)->asked_ns[which] != 0) return false;
    send_query(session, which, due_ns);
    return true;
}

/* If nothing is under way to it any more. */
static void leave(struct session *session)
{
    struct life *life = life_of(session);
    if (!life->leaving || life->under_way > 0) return;
    life->leaving = false;
    session_leave(session);
}

static bool log_in_again(struct session *session, int64_t due_ns)
{
    (void)due_ns;
    struct life *life = life_of(session);
    life->leaving = life->away = true;
    gone++;
    leave(session);
    return true;
}

static bool keep_alive(struct session *session, int64_t due_ns)
{
    (void)due_ns;
    session_say(session, " ", 1);
    return true;
}

/* In the order of the command's rates. */
static const struct {
    const char *name;
    bool (*begin)(struct session *session, int64_t due_ns);
} kinds[KINDS] = {{"letters", write_letter},
                  {"presences", say_presence},
                  {"queries", ask},
                  {"logins", log_in_again},
                  {"keepalives", keep_alive}};

static void on_message(struct session *session, const struct arrival *arrival)
{
    histogram_add(&letter_latency, arrival->at_ns - life_on_letter(session, arrival));
    leave(session);
}

static void on_presence(struct session *session, const struct arrival *arrival)
{
    int64_t due_ns = life_on_presence(session, arrival);
    if (due_ns != 0) histogram_add(&presence_latency, arrival->at_ns - due_ns);
    leave(session);
}

static void on_answer(struct session *session, const struct arrival *arrival)
{
    struct life *life = life_of(session);
    struct text id = arrival->stanza.id, all = arrival->element.all;
    uint32_t which = id.len == 2 && id.at[0] == 'q' ? (uint32_t)(id.at[1] - '0') : LIFE_QUERIES;
    if (which >= LIFE_QUERIES || life->asked_ns[which] == 0) session_fail(session, "an answer to no question", all);
    const char *why = which == ROSTER ? ring_roster(&ring, session->user, arrival) : NULL;
    if (why != NULL) session_fail(session, why, all);
    if (!text_is(arrival->stanza.type, TEXT("result"))) session_fail(session, "a question is refused", all);
    histogram_add(&query_latency, arrival->at_ns - life->asked_ns[which]);
    life->asked_ns[which] = 0;
    life->under_way--;
    answers++;
    if (which != ROSTER && life->away && !life->leaving) { /* behind its presence: see on_ready */
        life_back(session, arrival->at_ns);
        gone--;
    }
    leave(session);
}

/* As a client does that comes back: its roster, its presence; the answer to a ping says that both are done with. */
static void on_ready(struct session *session)
{
    int64_t at_ns = now_ns();
    histogram_add(&login_latency, at_ns - session->since_ns);
    send_query(session, ROSTER, at_ns);
    life_presence(session, at_ns);
    send_query(session, ROSTER + 1, at_ns);
}

static void on_closed(struct session *session)
{
    session_open(session, now_ns());
}

static const struct handlers handlers = {
    .ready = on_ready, .closed = on_closed, .message = on_message, .presence = on_presence, .answer = on_answer};

/* What is due now, by somebody who has time for it. */
static void begin_one(const double rates[KINDS], double total, int64_t due_ns)
{
    double pick = (double)(random_next() >> 11) / 9007199254740992.0 * total;
    size_t kind = 0;
    while (kind < KINDS - 1 && pick >= rates[kind])
        pick -= rates[kind++];
    for (int i = 0; i < TRIES; i++) {
        struct session *session = session_at((uint32_t)(random_next() % ring.users));
        if (!life_awaits(session) || !kinds[kind].begin(session, due_ns)) continue;
        done[kind]++;
        return;
    }
    skipped++;
}

static uint64_t under_way(void)
{
    uint64_t sum = gone;
    for (uint32_t i = 0; i < ring.users; i++)
        sum += life_of(session_at(i))->under_way;
    return sum;
}

static void print(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < KINDS; i++) {
        answer_number(kinds[i].name, (double)done[i]);
        count += done[i];
    }
    answer_number("count", (double)count);
    answer_number("skipped", (double)skipped);
    answer_number("presences_received", (double)(life_totals()->presences_come - presences_before));
    answer_number("answers", (double)answers);
    answer_histogram("latency", &letter_latency);
    answer_histogram("presence_latency", &presence_latency);
    answer_histogram("query_latency", &query_latency);
    answer_histogram("login_latency", &login_latency);
    answer_histogram("late", &late);
    answer_end();
}

static void begin(uint32_t contacts)
{
    ring = ring_of_all(contacts);
    life_begin(&ring);
    letter_latency = presence_latency = query_latency = login_latency = late = (struct histogram){0};
    for (size_t i = 0; i < KINDS; i++)
        done[i] = 0;
    skipped = answers = gone = 0;
    presences_before = life_totals()->presences_come;
    session_handle(&handlers);
    answer_begin();
}

void commands_mixed(const struct arguments *arguments)
{
    const double *rates = arguments->at + 2;
    double total = 0;
    for (size_t i = 0; i < KINDS; i++)
        total += rates[i];
    if (total == 0) fail("mixed: at least one rate is more than 0");
    begin((uint32_t)arguments->at[1]);
    int64_t due_ns = now_ns(), end_ns = due_ns + (int64_t)(arguments->at[0] * 1e9);
    for (int64_t at_ns; (due_ns += random_gap_ns(total)) < end_ns;) {
        while ((at_ns = now_ns()) < due_ns)
            session_turn(due_ns - at_ns);
        histogram_add(&late, at_ns - due_ns);
        begin_one(rates, total, due_ns);
    }
    for (int64_t last_ns = now_ns() + LAST_WAIT_SECONDS * 1000000000LL; under_way() > 0;) {
        if (now_ns() > last_ns) fail("%llu things are still under way", (unsigned long long)under_way());
        session_turn(100000000);
    }
    answer_stop();
    session_handle(NULL);
    print();
}
