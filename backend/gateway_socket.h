/* gateway_socket - a Unix socket in run-dir that only our own gateway can use. */
#ifndef POSTERN_BACKEND_GATEWAY_SOCKET_H
#define POSTERN_BACKEND_GATEWAY_SOCKET_H

#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct backend_config;
struct pp2;
struct stream_origin;

struct gateway_socket {
    int fd;
    char *path;
    uid_t gateway_uid; /* may connect; root when no gateway-user is configured */
};

/* gateway_socket_open - listen at run-dir/name with SOCK_SEQPACKET or SOCK_STREAM, while we may still be root.  The
 * file belongs to user; it is open to the gateway-user's group if that is set, else to nobody.  A stale file is
 * replaced, a live one not.  Returns 0, or -1 and a message in why. */
MUSTCHECK int gateway_socket_open(struct gateway_socket *out, const struct backend_config *config, const char *name,
                                  int type, char *why, size_t cap);

/* gateway_socket_close - also removes the file. */
void gateway_socket_close(struct gateway_socket *s);

/* gateway_socket_is_allowed - whether who connected is root, we, or the gateway-user: by the kernel's word. */
bool gateway_socket_is_allowed(const struct gateway_socket *s, int fd);

enum { GATEWAY_SNI_BYTES = 256 };

/* gateway_socket_describe - what a gateway's header tells of a connection, whatever it does about TLS: the client's
 * address, the id under which the gateway has logged it, the server name, which is put into sni. */
void gateway_socket_describe(const struct pp2 *pp, struct stream_origin *origin, char sni[GATEWAY_SNI_BYTES]);

#endif
