/* generator - small helpers of all load generators. */
#ifndef POSTERN_BENCH_COMMON_GENERATOR_H
#define POSTERN_BENCH_COMMON_GENERATOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void address_parse(struct sockaddr_in *address, const char *text); /* "127.0.0.1:443" */

/* client_socket - a non-blocking TCP socket with an address of its own in 127.0.0.0/8, another one each time: the ports
 * of one address would all be in TIME_WAIT before a run is over. */
int client_socket(void);

unsigned long number_parse(const char *text);

/* The process's CPU time, and the time that goes by, in nanoseconds. */
int64_t cpu_ns(void);
int64_t now_ns(void);

/* random_next - 64 random bits, the same ones in every run with the same seed; random_seed takes any number. */
uint64_t random_next(void);
void random_seed(uint64_t seed);

/* random_gap_ns - the time to the next event of a Poisson process with so many events a second. */
int64_t random_gap_ns(double per_second);

/* wait_for_line - say that everything is ready, then wait until the caller says to go on. */
void wait_for_line(const char *what);

/* fail - say why, and exit with status 1.  It goes to stderr, or to a function that was given beforehand. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail_by(void (*tell)(const char *why));

#endif
