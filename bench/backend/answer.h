/* answer - the line of JSON that a command ends with. */
#ifndef POSTERN_BENCH_BACKEND_ANSWER_H
#define POSTERN_BENCH_BACKEND_ANSWER_H

#include "bench/common/histogram.h"

#include <stdint.h>

/* answer_begin - from here on a command's time and CPU time count. */
void answer_begin(void);

/* answer_stop - and up to here; answer_number and answer_histogram add to the answer, answer_end prints it. */
void answer_stop(void);
void answer_number(const char *name, double value);
void answer_histogram(const char *name, const struct histogram *histogram);
void answer_end(void);

/* answer_failure - {"ok": false, "why": …}, for fail_by. */
void answer_failure(const char *why);

#endif
