/* probe_rows - the look functions that the table in probe.c names, one for each probe_*.c file. */
#ifndef POSTERN_GATEWAY_PROBE_ROWS_H
#define POSTERN_GATEWAY_PROBE_ROWS_H

#include "gateway/probe.h"

/* TLS.  Fills hello; a ClientHello that was only begun when no more is looked at sets hello_partial. A malformed hello
 * is no TLS. */
enum probe_verdict probe_tls_look(struct sight *sight);

/* HTTP/1, as far as " HTTP/1." of the request line.  Source: RFC 9112 section 3. */
enum probe_verdict probe_http_look(struct sight *sight);

/* HTTP/2 by prior knowledge.  Source: RFC 9113 section 3.4. */
enum probe_verdict probe_http2_look(struct sight *sight);

/* XMPP over TCP.  Source: RFC 6120 sections 4.2 and 11.5. */
enum probe_verdict probe_xmpp_look(struct sight *sight);

/* SSH clients that speak first, by their identification.  Source: RFC 4253 sections 4.2 and 5.1. */
enum probe_verdict probe_ssh_look(struct sight *sight);

#endif
