/* visits - commands that log in and out. */
#include "bench/backend/answer.h"
#include "bench/backend/commands.h"
#include "bench/backend/ring.h"
#include "bench/common/generator.h"

static struct histogram latency, late;
static uint32_t begun, done;

static void on_ready(struct session *session)
{
    histogram_add(&latency, now_ns() - session->since_ns);
    done++;
}

static const struct handlers entering = {.ready = on_ready}, leaving = {.closed = on_ready};

static void begin(const struct handlers *handlers)
{
    latency = late = (struct histogram){0};
    begun = done = 0;
    session_handle(handlers);
    answer_begin();
}

static void end(const char *rate)
{
    answer_stop();
    session_handle(NULL);
    answer_number("count", done);
    answer_histogram("latency", &latency);
    if (rate != NULL) answer_histogram(rate, &late);
    answer_end();
}

void commands_login(const struct arguments *arguments)
{
    uint32_t first = (uint32_t)arguments->at[0], count = (uint32_t)arguments->at[1];
    uint32_t concurrency = (uint32_t)arguments->at[2];
    for (uint32_t i = 0; i < count; i++)
        (void)session_of(first + i);
    begin(&entering);
    while (done < count) {
        while (begun < count && begun - done < concurrency)
            session_open(session_of(first + begun++), now_ns());
        session_wait("logins");
    }
    end(NULL);
}

void commands_login_rate(const struct arguments *arguments)
{
    uint32_t first = (uint32_t)arguments->at[0], count = (uint32_t)arguments->at[1];
    for (uint32_t i = 0; i < count; i++)
        (void)session_of(first + i);
    begin(&entering);
    int64_t due_ns = now_ns();
    while (begun < count) {
        int64_t at_ns = now_ns();
        if (due_ns > at_ns) {
            session_turn(due_ns - at_ns);
            continue;
        }
        histogram_add(&late, at_ns - due_ns);
        session_open(session_of(first + begun++), due_ns);
        due_ns += random_gap_ns(arguments->at[2]);
        session_turn(0);
    }
    while (done < count)
        session_wait("logins");
    end("late");
}

void commands_logout(const struct arguments *arguments)
{
    (void)arguments;
    begin(&leaving);
    struct session *session;
    for (uint32_t i = 0; (session = session_at(i)) != NULL; i++) {
        if (session->state != SESSION_READY) continue;
        session->since_ns = now_ns();
        session_leave(session);
        begun++;
    }
    while (done < begun)
        session_wait("ends of streams");
    end(NULL);
}

static void on_presence(struct session *session, const struct arrival *arrival)
{
    bool bare;
    if (ring_sender(arrival->stanza.from, &bare) == NULL)
        session_fail(session, "a presence from somebody unknown", arrival->element.all);
    done++;
}

static const struct handlers idling = {.presence = on_presence};

void commands_idle(const struct arguments *arguments)
{
    begin(&idling);
    for (int64_t until_ns = now_ns() + (int64_t)(arguments->at[0] * 1e9), left; (left = until_ns - now_ns()) > 0;)
        session_turn(left);
    answer_stop();
    session_handle(NULL);
    answer_number("presences", done);
    answer_end();
}
