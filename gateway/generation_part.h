/* generation_part - what a generation has besides its processes, one row for each kind.
 *
 * A part lives in the master and is seen by the workers, which are forked from it.  Every function may be NULL. */
#ifndef POSTERN_GATEWAY_GENERATION_PART_H
#define POSTERN_GATEWAY_GENERATION_PART_H

#include "gateway/generation.h"

struct worker_place;
struct worker_start;

struct generation_part {
    const char *name;
    /* Make it for generation, from what before has (NULL: there was none, or it is another program's).  Returns 0, or
     * -1 and a message in why; what was made is undone by abandon, of this part and those made before it. */
    int (*make)(struct generation *generation, struct generation *before, char *why, size_t cap);
    /* The generation will never serve. */
    void (*abandon)(struct generation *generation);
    /* The generation serves from now on; before (or NULL) is about to be retired. */
    void (*serve)(struct generation *generation, struct generation *before);
    /* A process is about to be forked; it has died, or could not be forked. */
    void (*forking)(struct worker_place *place);
    void (*died)(struct worker_place *place);
    /* In the worker's process, whose copy of the loop may be changed: take what it needs out of the generation. */
    void (*give)(struct worker_place *place, struct worker_start *start);
    /* Free what the generation has, if it has it: in every process, also when making it failed. */
    void (*free)(struct generation *generation);
};

extern const struct generation_part GENERATION_PARTS[];
extern const size_t GENERATION_PART_COUNT;

#endif
