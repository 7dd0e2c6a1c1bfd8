#include "bench/backend/wire.h"

#include "bench/common/generator.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the kernel gave and OpenSSL has not taken yet, and what OpenSSL gave for the kernel: of the connection that is
 * being served, empty in between. */
static char cipher_in[256 * 1024], cipher_out[4 * WIRE_BUFFER_BYTES];
static size_t cipher_in_len, cipher_in_at, cipher_out_len;

static struct sockaddr_in target;
static SSL_CTX *context_of_all;
static BIO_METHOD *bio_method;
static char *server_name;
static struct wire_calls calls;

static int bio_read(BIO *bio, char *to, int len)
{
    size_t n = cipher_in_len - cipher_in_at;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > (size_t)len) n = (size_t)len;
    memcpy(to, cipher_in + cipher_in_at, n);
    cipher_in_at += n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    BIO_clear_retry_flags(bio);
    if ((size_t)len > sizeof(cipher_out) - cipher_out_len) fail("%d bytes at once are too much", len);
    memcpy(cipher_out + cipher_out_len, from, (size_t)len);
    cipher_out_len += (size_t)len;
    return len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

void wire_setup(const struct sockaddr_in *to, const char *sni)
{
    target = *to;
    if (sni == NULL) return;
    server_name = strdup(sni);
    context_of_all = SSL_CTX_new(TLS_client_method());
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shared buffers");
    if (context_of_all == NULL || bio_method == NULL || server_name == NULL) fail("OpenSSL: out of memory");
    BIO_meth_set_read(bio_method, bio_read);
    BIO_meth_set_write(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_ctrl);
    BIO_meth_set_create(bio_method, bio_create);
    static const unsigned char alpn[] = "\x0bxmpp-client";
    if (SSL_CTX_set_min_proto_version(context_of_all, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context_of_all, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context_of_all, "X25519") != 1 ||
        SSL_CTX_set_alpn_protos(context_of_all, alpn, sizeof(alpn) - 1) != 0)
        fail("OpenSSL: TLS 1.3 as it is wanted is not there");
    SSL_CTX_set_mode(context_of_all, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context_of_all, SSL_SESS_CACHE_OFF);
}

static void watch(struct wire *wire, int epoll_fd, void *context, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (wire->wants_write ? EPOLLOUT : 0), .data.ptr = context};
    if (epoll_ctl(epoll_fd, operation, wire->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

void wire_open(struct wire *wire, int epoll_fd, void *context)
{
    const int on = 1;
    *wire = (struct wire){.fd = client_socket(), .connecting = true, .wants_write = true};
    setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(wire->fd, (struct sockaddr *)&target, sizeof(target)) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    watch(wire, epoll_fd, context, EPOLL_CTL_ADD);
    if (context_of_all == NULL) return;
    wire->ssl = SSL_new(context_of_all);
    BIO *bio = BIO_new(bio_method);
    if (wire->ssl == NULL || bio == NULL) fail("OpenSSL: out of memory");
    SSL_set_bio(wire->ssl, bio, bio);
    SSL_set_connect_state(wire->ssl);
    if (SSL_set_tlsext_host_name(wire->ssl, server_name) != 1) fail("OpenSSL: no server name");
}

void wire_close(struct wire *wire)
{
    if (wire->fd < 0) return;
    SSL_free(wire->ssl);
    free(wire->rest);
    close(wire->fd);
    *wire = (struct wire){.fd = -1};
}

/* How many of these bytes the kernel takes. */
static size_t push(struct wire *wire, const char *data, size_t len)
{
    calls.writes++;
    ssize_t n = send(wire->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0) return (size_t)n;
    return errno == EAGAIN ? 0 : len; /* a broken connection shows when it is read */
}

static void want_write(struct wire *wire, int epoll_fd, void *context, bool wants)
{
    if (wire->wants_write == wants) return;
    wire->wants_write = wants;
    watch(wire, epoll_fd, context, EPOLL_CTL_MOD);
}

/* Send, behind what waits already. */
static void send_all(struct wire *wire, int epoll_fd, void *context, const char *data, size_t len)
{
    if (len == 0) return;
    size_t sent = wire->rest_len == 0 ? push(wire, data, len) : 0;
    if (sent == len) return;
    if (wire->rest_len + len - sent > wire->rest_cap) {
        wire->rest_cap = 2 * (wire->rest_len + len - sent);
        wire->rest = realloc(wire->rest, wire->rest_cap);
        if (wire->rest == NULL) fail("out of memory");
    }
    memcpy(wire->rest + wire->rest_len, data + sent, len - sent);
    wire->rest_len += len - sent;
    want_write(wire, epoll_fd, context, true);
}

static void send_cipher(struct wire *wire, int epoll_fd, void *context)
{
    send_all(wire, epoll_fd, context, cipher_out, cipher_out_len);
    cipher_out_len = 0;
}

static void send_rest(struct wire *wire, int epoll_fd, void *context)
{
    size_t sent = push(wire, wire->rest, wire->rest_len);
    wire->rest_len -= sent;
    if (wire->rest_len > 0) {
        memmove(wire->rest, wire->rest + sent, wire->rest_len);
        return;
    }
    free(wire->rest);
    wire->rest = NULL;
    wire->rest_cap = 0;
    want_write(wire, epoll_fd, context, false);
}

/* Read into cipher_in.  false: the other side has closed. */
static bool fill(struct wire *wire)
{
    cipher_in_at = cipher_in_len = 0;
    calls.reads++;
    ssize_t n = recv(wire->fd, cipher_in, sizeof(cipher_in), 0);
    if (n > 0) cipher_in_len = (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static enum wire_result shake_hands(struct wire *wire, int epoll_fd, void *context, const char **why)
{
    bool open = fill(wire);
    ERR_clear_error();
    int result = SSL_do_handshake(wire->ssl), error = SSL_get_error(wire->ssl, result);
    send_cipher(wire, epoll_fd, context);
    if (result == 1) return WIRE_OPEN;
    if (error == SSL_ERROR_WANT_READ && open) return WIRE_PENDING;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    *why = open && reason != NULL ? reason : "the server closed in the middle of the TLS handshake";
    return WIRE_CLOSED;
}

enum wire_result wire_on_event(struct wire *wire, int epoll_fd, void *context, const char **why)
{
    if (wire->connecting) {
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            *why = strerror(error);
            return WIRE_CLOSED;
        }
        wire->connecting = false;
        want_write(wire, epoll_fd, context, false);
    }
    if (wire->rest_len > 0) send_rest(wire, epoll_fd, context);
    if (wire->ssl == NULL || SSL_is_init_finished(wire->ssl)) return WIRE_OPEN;
    return shake_hands(wire, epoll_fd, context, why);
}

static bool read_plain(struct wire *wire, char *buffer, size_t *len)
{
    calls.reads++;
    ssize_t n = recv(wire->fd, buffer + *len, WIRE_BUFFER_BYTES - *len, 0);
    if (n > 0) *len += (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

bool wire_read(struct wire *wire, char *buffer, size_t *len)
{
    if (wire->ssl == NULL) return read_plain(wire, buffer, len);
    /* What came with the end of the handshake is still there. */
    bool open = cipher_in_at < cipher_in_len || fill(wire);
    for (;;) {
        int n = SSL_read(wire->ssl, buffer + *len, (int)(WIRE_BUFFER_BYTES - *len));
        if (n <= 0) break;
        *len += (size_t)n;
    }
    /* OpenSSL keeps what is not yet a whole record. */
    if (SSL_get_shutdown(wire->ssl) & SSL_RECEIVED_SHUTDOWN || ERR_peek_error() != 0) open = false;
    cipher_in_at = cipher_in_len = 0;
    return open;
}

void wire_write(struct wire *wire, int epoll_fd, void *context, const char *data, size_t len)
{
    if (wire->ssl == NULL) {
        send_all(wire, epoll_fd, context, data, len);
        return;
    }
    if (SSL_write(wire->ssl, data, (int)len) != (int)len) {
        ERR_clear_error(); /* a broken connection shows when it is read */
        return;
    }
    send_cipher(wire, epoll_fd, context);
}

void wire_end(struct wire *wire, int epoll_fd, void *context)
{
    if (wire->ssl == NULL) return;
    SSL_shutdown(wire->ssl);
    ERR_clear_error();
    send_cipher(wire, epoll_fd, context);
}

struct wire_calls wire_calls(void)
{
    return calls;
}
