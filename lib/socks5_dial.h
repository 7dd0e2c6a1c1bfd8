/* socks5_dial - a connection by way of a SOCKS5 proxy, which is given the name. */
#ifndef POSTERN_LIB_SOCKS5_DIAL_H
#define POSTERN_LIB_SOCKS5_DIAL_H

#include "lib/addr.h"
#include "lib/loop.h"
#include "lib/socks5.h"

struct socks5_dial;

/* Called once, from the loop: DONE and the descriptor (taken), or REFUSED or BROKEN, -1 and why, a static text or one
 * that lives as long as the dial.  In it the dial may be freed. */
typedef void socks5_dial_fn(void *arg, enum socks5_verdict verdict, int fd, const char *why);

/* socks5_dial_new - host, port and user as for socks5_begin.  NULL: they cannot be used. */
MUSTCHECK struct socks5_dial *socks5_dial_new(struct loop *loop, const struct endpoint *proxy, const char *host,
                                              uint16_t port, const char *user, socks5_dial_fn *fn, void *arg);
void socks5_dial_free(struct socks5_dial **dial);

#endif
