/* control - the administrator's socket: requests and answers as lines of JSON over a private Unix socket.
 *
 * Request:  {"command": "adduser", "args": {"jid": "a@example.com", "password": "…"}}
 * Answer:   {"ok": true, "result": …}  or  {"ok": false, "error": "text for a person", "code": "not-found"}
 *
 * Who may connect is decided by the socket file's permissions (0600, or 0660 with a group) and checked again by the
 * peer's credentials: root, our own user id, or a member of that group. */
#ifndef POSTERN_LIB_CONTROL_H
#define POSTERN_LIB_CONTROL_H

#include "lib/check.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct loop;
struct control;
struct control_request;

/* A command: fn reads control_args and, now or later, calls control_reply or control_fail exactly once; that is safe
 * when the client has left meanwhile.  A client's requests are answered in order, one at a time, and have at most
 * 64 KiB each; one that is no such JSON is answered with an error and ends the connection.  fn may not call
 * control_free. */
struct control_command {
    const char *name;
    const char *help;
    void (*fn)(struct control_request *request, void *arg);
};

/* control_listen - serve the commands on a Unix socket at path (mode 0600; a stale file is replaced, a live one is
 * not).  NULL and a message in why on failure.  commands are borrowed for ever; arg is handed to every fn. */
MUSTCHECK struct control *control_listen(struct loop *loop, const char *path, const struct control_command *commands,
                                         size_t command_count, void *arg, char *why, size_t cap);

/* control_adopt - the same on fd (taken), a descriptor that control_fd gave the program before this one. */
struct control *control_adopt(struct loop *loop, int fd, const char *path, const struct control_command *commands,
                              size_t command_count, void *arg);

/* control_fd - the listening socket, to be handed to the program that follows; it stays the control's. */
int control_fd(const struct control *control);

/* control_serve_fd - serve one peer on a connected descriptor (takes it), such as a socket pair or standard input when
 * the server runs for one command only; done(arg) is called when the peer has closed and every answer is written.
 * done may call control_free. */
struct control *control_serve_fd(struct loop *loop, int fd, const struct control_command *commands,
                                 size_t command_count, void *arg, void (*done)(void *arg));
void control_free(struct control **control);

const json_t *control_args(const struct control_request *request); /* an object, maybe empty */
/* control_arg_str - a string argument, or NULL. */
const char *control_arg_str(const struct control_request *request, const char *name);

/* control_take_fd - the descriptor that came with the request (close-on-exec), the caller's to close; -1: none, or
 * taken already. */
int control_take_fd(struct control_request *request);

/* control_reply - answer with result (takes the reference; NULL: null).  Ends the request. */
void control_reply(struct control_request *request, json_t *result);
/* control_fail - answer with an error.  code is one word for scripts: usage, not-found, exists, forbidden, unavailable,
 * internal.  Ends the request. */
void control_fail(struct control_request *request, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* control_call - the client's side, blocking: one request to the server at path; the whole answer object (the
 * caller's reference), or NULL and a message in why; waits at most 30 s; args (an object or NULL) is borrowed; errno is
 * ENOENT or ECONNREFUSED when nobody listens there. */
MUSTCHECK json_t *control_call(const char *path, const char *command, json_t *args, char *why, size_t cap);
/* control_call_fd - the same over a connected descriptor (kept by the caller). */
MUSTCHECK json_t *control_call_fd(int fd, const char *command, json_t *args, char *why, size_t cap);

/* control_connect - the connection for control_call_fd and control_call_long: a descriptor, or -1, errno, and a message
 * in why. */
MUSTCHECK int control_connect(const char *path, char *why, size_t cap);
/* control_call_long - as control_call_fd, for a command that may take hours: no time is too long while the server is
 * there.  A copy of passed_fd goes along with the request; -1: none. */
MUSTCHECK json_t *control_call_long(int fd, const char *command, json_t *args, int passed_fd, char *why, size_t cap);

#endif
