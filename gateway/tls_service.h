/* tls_service - the server's side of TLS for one "tls" section in one worker: handshakes by the section's certificates
 * and policy, and what they have settled.
 *
 * The certificate is chosen by the name that the client asks for, the ALPN name by what the routes inside the section
 * can serve.  Sessions are resumed by tickets, only for the same name in the same section. */
#ifndef POSTERN_GATEWAY_TLS_SERVICE_H
#define POSTERN_GATEWAY_TLS_SERVICE_H

#include "gateway/route.h"
#include "gateway/tls_config.h"
#include "gateway/tls_tickets.h"
#include "lib/check.h"
#include "lib/tls.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_service;

/* tls_service_new - config, routes and tickets (NULL: none are issued) are borrowed; tls_config_load was called. */
struct tls_service *tls_service_new(const struct tls_config *config, struct route_table *routes,
                                    const struct tls_tickets *tickets);

/* tls_service_free - no handshake is in progress any more. */
void tls_service_free(struct tls_service **service);

/* tls_service_config - the section. */
const struct tls_config *tls_service_config(const struct tls_service *service);

/* tls_service_accept - a connection's server side on its socket, ready for SSL_do_handshake; the caller frees it with
 * SSL_free and closes fd by itself.  NULL when memory or OpenSSL fails.
 *
 * A handshake that fails has sent its alert: unrecognized_name, no_application_protocol, certificate_required and
 * OpenSSL's own; tls_error (lib/tls.h) says why in words. */
MUSTCHECK SSL *tls_service_accept(struct tls_service *service, int fd);

/* tls_service_set_query - where the connection comes from and goes to (listener, source, destination), so that only
 * ALPN names are agreed on that a route for it serves; NULL: conditions on that are taken to hold.  Borrowed until the
 * next call; the handshake goes on in between. */
void tls_service_set_query(SSL *ssl, const struct route_query *query);

/* tls_service_alpn - the ALPN name that was agreed on as a string in out (256 bytes); NULL: none. */
const char *tls_service_alpn(SSL *ssl, char out[256]);

/* tls_service_end_point - the tls-server-end-point binding (RFC 5929 section 4), also of a resumed session: the hash of
 * the certificate that the first handshake showed.  Returns its length in bytes, 0 when there is none. */
MUSTCHECK size_t tls_service_end_point(SSL *ssl, uint8_t out[TLS_END_POINT_MAX_BYTES]);

/* What is known of a client's certificate. */
enum tls_verified {
    TLS_VERIFIED_NONE, /* it showed none */
    TLS_VERIFIED_BAD,  /* it showed one that does not verify by client-ca; the client has proved to hold its key */
    TLS_VERIFIED_GOOD,
};

/* tls_service_verified - after the handshake.  The chain is SSL_get0_peer_certificate and SSL_get_peer_cert_chain
 * (which has the leaf first, too). */
enum tls_verified tls_service_verified(SSL *ssl);

/* tls_service_certs - what is served now; borrowed. */
const struct tls_certs *tls_service_certs(const struct tls_service *service);

/* tls_service_update - serve these certificates from the next handshake on (a reference is taken); connections in
 * progress keep what they have. */
void tls_service_update(struct tls_service *service, struct tls_certs *certs);

#endif
