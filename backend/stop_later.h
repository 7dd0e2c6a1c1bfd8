/* stop_later - an orderly stop of the process, at an administrator's word. */
#ifndef POSTERN_BACKEND_STOP_LATER_H
#define POSTERN_BACKEND_STOP_LATER_H

#include <stdbool.h>
#include <stdint.h>

struct backend;

enum { STOP_LATER_RESTART_STATUS = 75 }; /* of the process, when it is to be started again: EX_TEMPFAIL of sysexits.h */

/* stop_later - stop in so many milliseconds as on SIGTERM; restart: and end with a status that tells the service
 * manager to start the program again.  who (a bare JID) is for the log.  A second call changes the time.  Any thread.
 */
void stop_later(struct backend *backend, int64_t delay_ms, bool restart, const char *who);

#endif
