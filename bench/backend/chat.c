/* chat - commands in which pairs write: in each pair one writes, the other reads and verifies. */
#include "bench/backend/answer.h"
#include "bench/backend/commands.h"
#include "bench/backend/letter.h"
#include "bench/backend/session.h"
#include "bench/common/generator.h"

#include <stdlib.h>

enum { LAST_WAIT_SECONDS = 30 }; /* for what is under way at the end of the open loop */

static struct histogram latency, late;
static struct session **writers;
static uint32_t pairs;
static uint64_t sent, received, wanted;
static uint32_t came; /* in this batch */

/* Who writes, in the order of the sessions: every other one that is ready. */
static void pair_up(uint32_t count)
{
    struct session *session, *writer = NULL;
    if (session_ready() / 2 < count) fail("%u pairs are more than %u sessions", count, session_ready());
    free(writers);
    writers = calloc(count, sizeof(struct session *));
    if (writers == NULL) fail("out of memory");
    pairs = 0;
    for (uint32_t i = 0; pairs < count && (session = session_at(i)) != NULL; i++) {
        if (session->state != SESSION_READY) continue;
        if (writer == NULL) {
            writer = session;
            continue;
        }
        if (writer->peer != session) writer->letters_sent = session->letters_seen = 0;
        writer->peer = session;
        session->peer = writer;
        writers[pairs++] = writer;
        writer = NULL;
    }
}

static void send_letters(struct session *writer, uint32_t count, int64_t due_ns)
{
    static char data[WIRE_BUFFER_BYTES / 2];
    struct text to = {writer->peer->jid, writer->peer->jid_len};
    while (count > 0) {
        size_t len = 0;
        uint32_t batch = 0;
        for (; batch < count && len + LETTER_MAX_BYTES + to.len <= sizeof(data); batch++) {
            struct letter letter = {.number = ++writer->letters_sent, .sender = writer->user, .due_ns = due_ns};
            len += letter_write(data + len, to, &letter);
        }
        session_send(writer, data, len, batch);
        sent += batch;
        count -= batch;
    }
}

static void on_message(struct session *reader, const struct arrival *arrival)
{
    struct letter letter;
    struct text all = arrival->element.all;
    const struct session *writer = reader->peer;
    const char *why = letter_read(all, &arrival->stanza, &letter);
    if (why != NULL) session_fail(reader, why, all);
    if (writer == NULL || letter.sender != writer->user ||
        !text_is(arrival->stanza.from, (struct text){writer->jid, writer->jid_len}))
        session_fail(reader, "a message from a wrong sender", all);
    if (!text_is(arrival->stanza.to, (struct text){reader->jid, reader->jid_len}))
        session_fail(reader, "a message to somebody else", all);
    if (letter.number <= reader->letters_seen) session_fail(reader, "a message that came before", all);
    if (letter.number > reader->letters_seen + 1) session_fail(reader, "a message is missing before this one", all);
    reader->letters_seen = letter.number;
    histogram_add(&latency, arrival->at_ns - letter.due_ns);
    received++;
    came++;
}

/* For each that has come another one is sent. */
static void on_batch(struct session *reader)
{
    uint64_t left = wanted - sent;
    uint32_t next = came < left ? came : (uint32_t)left;
    came = 0;
    if (next > 0) send_letters(reader->peer, next, now_ns());
}

static const struct handlers closed_loop = {.message = on_message, .batch = on_batch},
                             open_loop = {.message = on_message};

static void begin(const struct handlers *handlers)
{
    latency = late = (struct histogram){0};
    sent = received = came = 0;
    session_handle(handlers);
    answer_begin();
}

static void end(void)
{
    session_handle(NULL);
    for (uint32_t i = 0; i < pairs; i++)
        if (writers[i]->letters_sent != writers[i]->peer->letters_seen)
            session_fail(writers[i]->peer, "the last messages did not come", (struct text){NULL, 0});
    answer_number("count", (double)received);
    answer_histogram("latency", &latency);
}

void commands_chat(const struct arguments *arguments)
{
    uint32_t window = (uint32_t)arguments->at[1];
    pair_up((uint32_t)arguments->at[0]);
    wanted = (uint64_t)arguments->at[2];
    begin(&closed_loop);
    for (uint32_t i = 0; i < pairs && sent < wanted; i++)
        send_letters(writers[i], wanted - sent < window ? (uint32_t)(wanted - sent) : window, now_ns());
    while (received < wanted)
        session_wait("messages");
    answer_stop();
    end();
    answer_end();
}

void commands_chat_rate(const struct arguments *arguments)
{
    pair_up((uint32_t)arguments->at[0]);
    wanted = 0;
    begin(&open_loop);
    int64_t due_ns = now_ns(), end_ns = due_ns + (int64_t)(arguments->at[2] * 1e9);
    for (int64_t at_ns; (due_ns += random_gap_ns(arguments->at[1])) < end_ns;) {
        while ((at_ns = now_ns()) < due_ns)
            session_turn(due_ns - at_ns);
        histogram_add(&late, at_ns - due_ns);
        send_letters(writers[random_next() % pairs], 1, due_ns);
    }
    for (int64_t last_ns = now_ns() + LAST_WAIT_SECONDS * 1000000000LL; received < sent && now_ns() < last_ns;)
        session_turn(1000000000);
    answer_stop();
    end();
    answer_histogram("late", &late);
    answer_end();
}
