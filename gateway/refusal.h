/* refusal - the ways in which a route may refuse a client: without a word, or in those of a protocol; one row each.
 *
 * A row with words names the protocol that they are for, as its probe does.  Who speaks another one gets no words. */
#ifndef POSTERN_GATEWAY_REFUSAL_H
#define POSTERN_GATEWAY_REFUSAL_H

#include "gateway/probe.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REFUSAL_TARGET_MAX_BYTES = 8000, /* of a request that is redirected; RFC 9110 section 4.1 */
    REFUSAL_MAX_BYTES = 9216,        /* that target, a host name and what stands around them */
};

struct refusal_answer {
    size_t len;
    uint8_t data[REFUSAL_MAX_BYTES];
};

struct refusal {
    const char *name;     /* the value of a route's "refuse" */
    const char *protocol; /* the probe of those who understand the words; NULL: there are no words */
    bool reset;           /* ended by a reset, not in order */
    /* Whether the bytes seen are enough to compose; NULL: those that showed the protocol are. */
    bool (*enough)(const struct sight *sight);
    /* Appends the words to answer.  The protocol matches the sight, and the bytes are enough or the sight is final. */
    void (*compose)(const struct sight *sight, struct refusal_answer *answer);
};

extern const struct refusal REFUSALS[];
extern const size_t REFUSAL_COUNT;

/* refusal_find - a row by its name, or NULL. */
const struct refusal *refusal_find(const char *name);

/* refusal_look - whether the words fit what is seen: match (and they can be composed), no, or more bytes are needed.
 * Never PROBE_MORE when sight->final.  The verdict for a prefix is "more" or the verdict for the whole. */
MUSTCHECK enum probe_verdict refusal_look(const struct refusal *refusal, struct sight *sight);

/* For compose: append; there is room for all that a row may say. */
void refusal_append(struct refusal_answer *answer, const void *data, size_t len);
void refusal_printf(struct refusal_answer *answer, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
