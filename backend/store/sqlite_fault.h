/* sqlite_fault - fault points in the middle of what SQLite writes; see lib/fault.h. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_FAULT_H
#define POSTERN_BACKEND_STORE_SQLITE_FAULT_H

#include "lib/fault.h"

#ifdef POSTERN_FAULTS

/* sqlite_fault_install - once, before a database is opened: SQLite's writes go through us. */
void sqlite_fault_install(void);

/* sqlite_fault_arm - the next write on this thread passes that point: when it hits, half is written, and the process is
 * killed.  sqlite_fault_disarm - no write did, or no other shall. */
void sqlite_fault_arm(enum fault fault);
void sqlite_fault_disarm(void);

#else

static inline void sqlite_fault_install(void)
{
}

static inline void sqlite_fault_arm(enum fault fault)
{
    (void)fault;
}

static inline void sqlite_fault_disarm(void)
{
}

#endif

#endif
