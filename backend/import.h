/* import - accounts of an XEP-0227 document become accounts here, each with all it has in one step.
 *
 * Runs on shard 0, piece by piece between other work.  An account is hashed as it is; only plain passwords are hashed
 * anew, beside the loop. */
#ifndef POSTERN_BACKEND_IMPORT_H
#define POSTERN_BACKEND_IMPORT_H

#include <jansson.h>
#include <stdbool.h>

struct shard;

struct import_order {
    int fd;           /* the document, from where it stands; taken */
    const char *host; /* only this one's accounts; NULL: all */
    bool replace;     /* accounts that are there lose what they have */
    bool skip;        /* accounts that are there are no fault */
    bool dry_run;     /* change nothing, tell what would be */
};

/* How it went: the report (import_report_json, taken), with "fault": a text when it ended early. */
typedef void import_fn(json_t *report, void *arg);

/* import_start - on shard 0; fn is called later, once. */
void import_start(struct shard *here, const struct import_order *order, import_fn *fn, void *arg);

#endif
