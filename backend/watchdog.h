/* watchdog - tells the service manager that every shard still turns, when it wants to hear that (WATCHDOG_USEC).
 *
 * Source: sd_watchdog_enabled(3), sd_notify(3). */
#ifndef POSTERN_BACKEND_WATCHDOG_H
#define POSTERN_BACKEND_WATCHDOG_H

struct backend;
struct watchdog;

/* watchdog_new - from shard 0, once all shards run.  NULL: nobody wants to hear it, and nothing wakes up. */
struct watchdog *watchdog_new(struct backend *backend);

/* watchdog_free - after the shards have ended, before their loops go. */
void watchdog_free(struct watchdog **watchdog);

#endif
