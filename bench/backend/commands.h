/* commands - what the generator can be told to do; bench-xmpp's own text (xmpp.c) says what each is for.
 *
 * Each gets its arguments as numbers, prints one answer, and fails the run if anything was not as it should be. */
#ifndef POSTERN_BENCH_BACKEND_COMMANDS_H
#define POSTERN_BENCH_BACKEND_COMMANDS_H

#include <stddef.h>

/* Arguments that were not given are 0; count: how many were. */
struct arguments {
    double at[16];
    size_t count;
};

void commands_login(const struct arguments *arguments);
void commands_login_rate(const struct arguments *arguments);
void commands_logout(const struct arguments *arguments);
void commands_chat(const struct arguments *arguments);
void commands_chat_rate(const struct arguments *arguments);
void commands_roster(const struct arguments *arguments);
void commands_available(const struct arguments *arguments);
void commands_mixed(const struct arguments *arguments);
void commands_idle(const struct arguments *arguments);

#endif
