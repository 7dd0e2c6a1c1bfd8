/* refusal_rows - the functions that the table in refusal.c names, one refusal_*.c file for each protocol. */
#ifndef POSTERN_GATEWAY_REFUSAL_ROWS_H
#define POSTERN_GATEWAY_REFUSAL_ROWS_H

#include "gateway/refusal.h"

/* A fatal alert in plain text, as the answer to a ClientHello.  Source: RFC 8446 sections 5.1 and 6, RFC 6066 section
 * 3 (unrecognized_name), RFC 7301 section 3.2 (no_application_protocol). */
void refusal_tls_unrecognized_name(const struct sight *sight, struct refusal_answer *answer);
void refusal_tls_no_application_protocol(const struct sight *sight, struct refusal_answer *answer);

/* A complete HTTP/1.1 response, 400.  Source: RFC 9110 section 15.5.1, RFC 9112. */
void refusal_http_400(const struct sight *sight, struct refusal_answer *answer);

/* A redirect to the same host and target by https: 301 for GET and HEAD, 308 for the other methods, which must not
 * become a GET.  The host is the one in Host, checked and cleaned; of its ports, 80 and 443 are left out.  What is not
 * a proper request for a host gets the 400.  Source: RFC 9110 section 15.4, RFC 9112 sections 3.2 and 3.3. */
bool refusal_https_redirect_enough(const struct sight *sight);
void refusal_https_redirect(const struct sight *sight, struct refusal_answer *answer);

/* A stream header and the stream error policy-violation: that XMPP is not served here is the operator's rule, whatever
 * domain the client asks for.  Source: RFC 6120 sections 4.7, 4.9.1.2 and 4.9.3.14. */
bool refusal_xmpp_enough(const struct sight *sight);
void refusal_xmpp_error(const struct sight *sight, struct refusal_answer *answer);

#endif
