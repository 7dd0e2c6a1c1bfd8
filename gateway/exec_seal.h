/* exec_seal - makes memory that PCRE2's compiler has filled executable only, no longer writable.
 *
 * PCRE2 maps it both writable and executable and keeps its own list of free pieces within.  It is opened for compiling
 * and freeing, and sealed before anything is run.  Both look for such mappings of this process, which nothing else has.
 */
#ifndef POSTERN_GATEWAY_EXEC_SEAL_H
#define POSTERN_GATEWAY_EXEC_SEAL_H

#include "lib/check.h"

/* exec_seal_open - make sealed memory writable again.  Returns 0, or -1 where the process may not look or may not make
 * it: in the sandbox. */
MUSTCHECK int exec_seal_open(void);

/* exec_seal_close - seal.  Returns 0, or -1 as above. */
MUSTCHECK int exec_seal_close(void);

#endif
