/* export - all accounts, with all they have, as an XEP-0227 document.
 *
 * Runs on shard 0, one account after another between other work: each is as it was at one moment. */
#ifndef POSTERN_BACKEND_EXPORT_H
#define POSTERN_BACKEND_EXPORT_H

#include <stdint.h>

struct shard;

struct export_result {
    const char *why; /* NULL: the document is whole, and on the disk */
    uint64_t accounts, messages;
    uint64_t unreadable; /* records and messages that the store has, but not as this program writes them */
};

typedef void export_fn(const struct export_result *result, void *arg);

/* export_start - on shard 0: write into fd (taken), a file; fn is called later, once. */
void export_start(struct shard *here, int fd, export_fn *fn, void *arg);

#endif
