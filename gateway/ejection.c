#include "gateway/ejection.h"

/* until_ms is odd while a trial is under way, even while the server is only out. */
static bool is_trial(int64_t until_ms)
{
    return (until_ms & 1) != 0;
}

enum ejection_state ejection_state(const struct ejection *ejection, int64_t now_ms)
{
    int64_t until_ms = atomic_load_explicit(&ejection->until_ms, memory_order_relaxed);
    if (until_ms == 0) return EJECTION_NONE;
    return now_ms < until_ms ? EJECTION_OUT : EJECTION_DUE;
}

bool ejection_try(struct ejection *ejection, int64_t now_ms, int64_t trial_ms)
{
    int64_t until_ms = atomic_load(&ejection->until_ms);
    if (until_ms == 0) return true; /* somebody else has just brought it back */
    if (now_ms < until_ms) return false;
    return atomic_compare_exchange_strong(&ejection->until_ms, &until_ms, (now_ms + trial_ms) | 1);
}

static int64_t time_out(const struct ejection_rules *rules, uint32_t times)
{
    int64_t out_ms = rules->fail_timeout_ms;
    for (uint32_t i = 0; i < times && out_ms < rules->max_ms; i++)
        out_ms *= 2;
    return out_ms < rules->max_ms ? out_ms : rules->max_ms;
}

/* The window's count may lose or gain one when two workers begin a window at once: it is a measure, not an account. */
static bool too_many(struct ejection *ejection, const struct ejection_rules *rules, int64_t now_ms)
{
    if (now_ms - atomic_load(&ejection->window_ms) >= rules->fail_timeout_ms) {
        atomic_store(&ejection->window_ms, now_ms);
        atomic_store(&ejection->fails, 0);
    }
    return atomic_fetch_add(&ejection->fails, 1) + 1 >= rules->max_fails;
}

int64_t ejection_failed(struct ejection *ejection, const struct ejection_rules *rules, int64_t now_ms)
{
    if (rules->max_fails == 0) return 0;
    int64_t until_ms = atomic_load(&ejection->until_ms);
    /* Connections that began before it was ejected may fail later, and say nothing new. */
    if (until_ms != 0 && !is_trial(until_ms)) return 0;
    if (until_ms == 0 && !too_many(ejection, rules, now_ms)) return 0;
    int64_t out_ms = time_out(rules, atomic_load(&ejection->times));
    int64_t out_until_ms = (now_ms + out_ms + 1) & ~INT64_C(1);
    if (!atomic_compare_exchange_strong(&ejection->until_ms, &until_ms, out_until_ms)) return 0;
    atomic_fetch_add(&ejection->times, 1);
    atomic_store(&ejection->fails, 0);
    return out_ms;
}

bool ejection_worked(struct ejection *ejection)
{
    /* Almost always: a read of a line that nobody writes. */
    if (atomic_load_explicit(&ejection->until_ms, memory_order_relaxed) == 0) return false;
    if (atomic_exchange(&ejection->until_ms, 0) == 0) return false;
    atomic_store(&ejection->times, 0);
    atomic_store(&ejection->fails, 0);
    return true;
}
