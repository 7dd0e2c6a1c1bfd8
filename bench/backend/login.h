/* login - from a connection to a session: SASL, resource binding, stream management if it is wanted. */
#ifndef POSTERN_BENCH_BACKEND_LOGIN_H
#define POSTERN_BENCH_BACKEND_LOGIN_H

#include "bench/backend/session.h"

void login_begin(struct session *session);

/* login_on_open - the connection stands, TLS included; may be called again. */
void login_on_open(struct session *session);

void login_on_element(struct session *session, const struct scan_element *element);

#endif
