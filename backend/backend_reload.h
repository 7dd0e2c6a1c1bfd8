/* backend_reload - the changed configuration, or renewed certificates, put in force without losing a session.
 *
 * The files are read beside the shards; only when all of it is good is anything changed.  Reloads coalesce. */
#ifndef POSTERN_BACKEND_BACKEND_RELOAD_H
#define POSTERN_BACKEND_BACKEND_RELOAD_H

struct backend;
struct backend_reload;
struct c2s_listen;
struct confinement;
struct control_request;

/* backend_reload_new - on shard 0, whose hosts are those of the start.  Watches the files of the certificates from now
 * on.  confinement and listeners are borrowed. */
struct backend_reload *backend_reload_new(struct backend *backend, const struct confinement *confinement,
                                          struct c2s_listen *listeners);

/* backend_reload_free - after the shards have ended, before their loops go; who still waits is told that the server
 * stops. */
void backend_reload_free(struct backend_reload **reload);

/* backend_reload_ask - read the configuration anew.  request (taken; NULL: nobody waits) is answered when it is in
 * force on every shard, or has been refused. */
void backend_reload_ask(struct backend_reload *reload, struct control_request *request);

#endif
