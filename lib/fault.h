/* fault - named points at which a test can kill the program; in builds for tests only.
 *
 * POSTERN_FAULT=NAME:N in the environment kills the process by SIGKILL at the Nth passing of a point of
 * fault_points.def (NAME alone: the first).  Several are separated by commas.  Builds with a sanitizer and debug builds
 * have this (POSTERN_FAULTS); others have nothing of it. */
#ifndef POSTERN_LIB_FAULT_H
#define POSTERN_LIB_FAULT_H

#include <stdbool.h>

enum fault {
#define FAULT_POINT(id, name, help) FAULT_##id,
#include "lib/fault_points.def"
#undef FAULT_POINT
    FAULT_POINTS
};

#ifdef POSTERN_FAULTS

/* fault_point - pass a point; does not return when it is the passing that was chosen.  Any thread. */
void fault_point(enum fault fault);

/* fault_hits - pass a point; whether it is the passing that was chosen.  The caller leaves something half done, then
 * calls fault_kill. */
bool fault_hits(enum fault fault);

/* fault_kill - end the process as SIGKILL does, after saying where on stderr. */
_Noreturn void fault_kill(enum fault fault);

#else

static inline void fault_point(enum fault fault)
{
    (void)fault;
}

#endif

#endif
