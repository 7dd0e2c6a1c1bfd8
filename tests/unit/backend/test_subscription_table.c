#include "backend/subscription_table.h"

#include "backend/roster_item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The nine states of appendix A.1. */
static const uint8_t STATES[] = {
    0,
    ROSTER_PENDING_OUT,
    ROSTER_PENDING_IN,
    ROSTER_PENDING_OUT | ROSTER_PENDING_IN,
    ROSTER_TO,
    ROSTER_TO | ROSTER_PENDING_IN,
    ROSTER_FROM,
    ROSTER_FROM | ROSTER_PENDING_OUT,
    ROSTER_TO | ROSTER_FROM,
};

enum { OURS = ROSTER_TO | ROSTER_PENDING_OUT, THEIRS = ROSTER_FROM | ROSTER_PENDING_IN };

/* What the sentences of section 3 say, where the table is made from appendix A. */
static struct subscription_step told(uint8_t flags, enum subscription_way way, enum stanza_type type)
{
    struct subscription_step step = {flags, 0};
    if (way == SUBSCRIPTION_OUTBOUND && type == STANZA_SUBSCRIBE) {
        step.does = SUBSCRIPTION_PASS;
        if (!(flags & ROSTER_TO)) step.flags |= ROSTER_PENDING_OUT | ROSTER_LISTED;
    } else if (way == SUBSCRIPTION_OUTBOUND && type == STANZA_UNSUBSCRIBE) {
        step.does = SUBSCRIPTION_PASS;
        step.flags &= (uint8_t)~OURS;
    } else if (way == SUBSCRIPTION_OUTBOUND && type == STANZA_SUBSCRIBED) {
        if (flags & ROSTER_PENDING_IN) {
            step.does = SUBSCRIPTION_PASS;
            step.flags = (uint8_t)(flags & ~ROSTER_PENDING_IN) | ROSTER_FROM | ROSTER_LISTED;
        } else if (!(flags & ROSTER_FROM)) {
            step.flags |= ROSTER_APPROVED | ROSTER_LISTED;
        }
    } else if (way == SUBSCRIPTION_OUTBOUND) {
        if (flags & THEIRS) step.does = SUBSCRIPTION_PASS;
        step.flags &= (uint8_t) ~(THEIRS | ROSTER_APPROVED);
    } else if (type == STANZA_SUBSCRIBE) {
        if (flags & (ROSTER_FROM | ROSTER_APPROVED)) {
            step.does = SUBSCRIPTION_AUTO;
            step.flags = (uint8_t)(flags & ~(ROSTER_APPROVED | ROSTER_PENDING_IN)) | ROSTER_FROM;
        } else if (!(flags & ROSTER_PENDING_IN)) {
            step.does = SUBSCRIPTION_PASS;
            step.flags |= ROSTER_PENDING_IN;
        }
    } else if (type == STANZA_SUBSCRIBED) {
        if (flags & ROSTER_PENDING_OUT) {
            step.does = SUBSCRIPTION_PASS;
            step.flags = (uint8_t)(flags & ~ROSTER_PENDING_OUT) | ROSTER_TO;
        }
    } else {
        const uint8_t ends = type == STANZA_UNSUBSCRIBE ? THEIRS : OURS;
        if (flags & ends) step.does = SUBSCRIPTION_PASS;
        step.flags &= (uint8_t)~ends;
    }
    return step;
}

static void check(uint8_t flags, enum subscription_way way, enum stanza_type type)
{
    const struct subscription_step got = subscription_step_of(flags, way, type), wanted = told(flags, way, type);
    if (got.flags != wanted.flags || got.does != wanted.does)
        fail_msg("flags %u, way %d, type %d: got %u and %u, not %u and %u", flags, (int)way, (int)type, got.flags,
                 got.does, wanted.flags, wanted.does);
}

static void the_table_is_what_the_sentences_say(void **state)
{
    static const enum stanza_type TYPES[] = {STANZA_SUBSCRIBE, STANZA_SUBSCRIBED, STANZA_UNSUBSCRIBE,
                                             STANZA_UNSUBSCRIBED};
    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(STATES); s++) {
        /* listed or not as far as there are such contacts, and approved where it makes a difference */
        const bool hidden = (STATES[s] & (uint8_t)~ROSTER_PENDING_IN) == 0;
        for (size_t t = 0; t < ARRAY_LEN(TYPES); t++) {
            for (int way = SUBSCRIPTION_OUTBOUND; way <= SUBSCRIPTION_INBOUND; way++) {
                check(STATES[s] | ROSTER_LISTED, (enum subscription_way)way, TYPES[t]);
                if (hidden) check(STATES[s], (enum subscription_way)way, TYPES[t]);
                if (!(STATES[s] & THEIRS))
                    check(STATES[s] | ROSTER_LISTED | ROSTER_APPROVED, (enum subscription_way)way, TYPES[t]);
            }
        }
    }
}

/* As only a store that somebody has changed by hand can have them: nothing is asked for that is granted. */
static void flags_that_are_no_state(void **state)
{
    (void)state;
    const uint8_t all = ROSTER_TO | ROSTER_FROM | ROSTER_PENDING_OUT | ROSTER_PENDING_IN | ROSTER_LISTED;
    const struct subscription_step step = subscription_step_of(all, SUBSCRIPTION_INBOUND, STANZA_SUBSCRIBE);
    assert_int_equal(step.flags, ROSTER_TO | ROSTER_FROM | ROSTER_LISTED);
    assert_int_equal(step.does, SUBSCRIPTION_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_what_the_sentences_say),
        cmocka_unit_test(flags_that_are_no_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
