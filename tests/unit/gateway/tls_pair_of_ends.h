/* tls_pair_of_ends - a tls section in memory, and a client that shakes hands with it over a socket pair. */
#ifndef POSTERN_TESTS_UNIT_GATEWAY_TLS_PAIR_OF_ENDS_H
#define POSTERN_TESTS_UNIT_GATEWAY_TLS_PAIR_OF_ENDS_H

#include "gateway/gateway_options.h"
#include "gateway/tls_config.h"
#include "gateway/tls_service.h"
#include "tests/unit/gateway/tls_fixture.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

/* The section that text makes, "tls \"x\" { … }"; *file is the caller's. */
static inline int tls_section(const char *text, const struct tls_fixture *f, struct option_file **file,
                              struct tls_config *config, char *error, size_t cap)
{
    FILE *conf = tls_fixture_create(f, "gateway.conf");
    CHECK(fputs(text, conf) >= 0 && fclose(conf) == 0);
    *file = option_load(tls_fixture_path(f, "gateway.conf"), GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, cap);
    if (*file == NULL) return -1;
    return tls_config_read(config, option_next(*file, "tls", NULL), error, cap);
}

struct ends {
    SSL *client, *server;
    int client_fd, server_fd;
    bool done;
    int alert; /* that the client got; 0: none */
};

static inline struct ends ends_new(SSL_CTX *client, struct tls_service *service, const char *sni)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    struct ends ends = {.client = SSL_new(client), .client_fd = fds[0], .server_fd = fds[1]};
    ends.server = tls_service_accept(service, fds[1]);
    CHECK(ends.client != NULL && ends.server != NULL && SSL_set_fd(ends.client, fds[0]) == 1);
    SSL_set_connect_state(ends.client);
    if (sni != NULL) CHECK(SSL_set_tlsext_host_name(ends.client, (uintptr_t)sni) == 1);
    return ends;
}

/* Whether both ends are done; afterwards the client has read the tickets. */
static inline bool ends_shake(struct ends *ends)
{
    bool client = false, server = false;
    char byte;
    for (int i = 0; i < 20 && !(client && server); i++) {
        ERR_clear_error();
        client = SSL_do_handshake(ends->client) == 1;
        unsigned long error = ERR_peek_error();
        if (!client && ends->alert == 0 && ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET)
            ends->alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
        server = SSL_do_handshake(ends->server) == 1;
    }
    ERR_clear_error();
    if (client) (void)!SSL_read(ends->client, &byte, 1);
    /* TLS 1.3: what the server thinks of our certificate comes after our end is done. */
    unsigned long error = ERR_peek_error();
    if (ends->alert == 0 && ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET)
        ends->alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
    ERR_clear_error();
    ends->done = client && server;
    return ends->done;
}

static inline void ends_free(struct ends *ends)
{
    /* Without it, the client would hold its session to be a bad one. */
    SSL_set_shutdown(ends->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ends->client);
    SSL_free(ends->server);
    close(ends->client_fd);
    close(ends->server_fd);
}

#endif
