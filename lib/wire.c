#include "lib/wire.h"

#include "lib/mem.h"
#include "lib/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* A step of OpenSSL's goes on as long as records come that carry no data (RFC 8446 section 4.6.3), each of which
     * costs as much as a small handshake: then the peer would decide when the others get their turn. */
    TAKE_BYTES = 16 * 1024,
    TLS_BYTES = 8 * 1024,         /* what a connection's TLS takes, roughly */
    BARREN_MAX_BYTES = 64 * 1024, /* a record of the largest size, and two thousand updates of keys */
    FRUIT_BYTES = 64,             /* around the data of a record */
};

/* The reasons of failed handshakes are static texts, so that an owner may keep one: each is made once and kept.
 * OpenSSL has more reasons than rows here, but no process meets them all. */
struct tls_why {
    unsigned long code;
    char text[80];
};

static struct tls_why tls_whys[128];
static size_t tls_why_count;
static pthread_mutex_t tls_why_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *tls_why_text(unsigned long code)
{
    const char *text = "tls: other error";
    const char *reason = ERR_reason_error_string(code);

    /* A peer may make up as many alerts as we have rows. */
    if (!reason) return "tls: unknown error";
    pthread_mutex_lock(&tls_why_lock);
    size_t i = 0;
    while (i < tls_why_count && tls_whys[i].code != code)
        i++;
    if (i == tls_why_count && i < ARRAY_LEN(tls_whys)) {
        tls_whys[i].code = code;
        snprintf(tls_whys[i].text, sizeof tls_whys[i].text, "tls: %s", reason);
        tls_why_count++;
    }
    if (i < tls_why_count) text = tls_whys[i].text;
    pthread_mutex_unlock(&tls_why_lock);
    return text;
}

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static enum wire_result broken_by_errno(struct wire *wire, int error)
{
    wire->alert_sent = false;
    wire->by_socket = error != 0;
    switch (error) {
    case 0:
        wire->why = "eof";
        break;
    case ECONNRESET:
    case EPIPE:
        wire->why = "reset";
        break;
    case ETIMEDOUT:
        wire->why = "timeout";
        break;
    case EHOSTUNREACH:
    case ENETUNREACH:
        wire->why = "unreachable";
        break;
    default:
        wire->why = "socket error";
        break;
    }
    return WIRE_BROKEN;
}

/* OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE; this one does not. */
static int bio_read_socket(BIO *bio, char *mem, int len)
{
    struct wire *wire = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (wire->taken >= TAKE_BYTES || wire->emptied) {
        wire->emptied = false;
        wire->io_errno = EAGAIN;
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t got = recv(wire->fd, mem, (size_t)len, 0);
    if (got >= 0) {
        wire->taken += (unsigned)got;
        wire->io_errno = 0;
        wire->eof = got == 0;
        wire->emptied = got > 0 && got < len;
        return (int)got;
    }
    wire->io_errno = errno;
    if (would_block(errno)) BIO_set_retry_read(bio);
    return -1;
}

static int bio_write_socket(BIO *bio, const char *data, int len)
{
    struct wire *wire = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    ssize_t put = send(wire->fd, data, (size_t)len, MSG_NOSIGNAL);
    if (put >= 0) return (int)put;
    wire->io_errno = errno;
    if (would_block(errno)) BIO_set_retry_write(bio);
    return -1;
}

static long bio_ctrl_socket(BIO *bio, int command, long num, void *ptr)
{
    const struct wire *wire = BIO_get_data(bio);

    (void)num;
    (void)ptr;
    if (command == BIO_CTRL_EOF) return wire->eof;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;

static void make_socket_method(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    CHECK(socket_method != NULL);
    BIO_meth_set_read(socket_method, bio_read_socket);
    BIO_meth_set_write(socket_method, bio_write_socket);
    BIO_meth_set_ctrl(socket_method, bio_ctrl_socket);
}

void wire_take_tls(struct wire *wire, SSL *ssl)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(wire->ssl == NULL);
    pthread_once(&once, make_socket_method);
    wire->ssl = ssl;
    BIO *bio = BIO_new(socket_method);
    CHECK(bio != NULL);
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(wire->ssl, bio, bio);
    SSL_set_mode(wire->ssl,
                 SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_options(wire->ssl, SSL_OP_NO_RENEGOTIATION);
    /* One call to the kernel for what has come, not two for each record. */
    SSL_set_read_ahead(wire->ssl, 1);
    if (SSL_is_server(wire->ssl))
        SSL_set_accept_state(wire->ssl);
    else
        SSL_set_connect_state(wire->ssl);
}

/* tls_result - what a failed OpenSSL call means; its errors are taken from the queue. */
static enum wire_result tls_result(struct wire *wire, int ret)
{
    switch (SSL_get_error(wire->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return WIRE_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return WIRE_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return WIRE_END;
    case SSL_ERROR_SYSCALL:
        return broken_by_errno(wire, wire->io_errno);
    default:
        break;
    }
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    int reason = ERR_GET_REASON(code);
    wire->by_socket = false;
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        wire->alert_sent = false;
        wire->why = "tls: eof without close_notify";
        return WIRE_BROKEN;
    }
    /* Reasons from this offset on are alerts that the peer sent to us. */
    wire->alert_sent = reason < SSL_AD_REASON_OFFSET;
    wire->why = tls_why_text(code);
    return WIRE_BROKEN;
}

static void before_tls_call(struct wire *wire)
{
    if (ERR_peek_error() != 0) ERR_clear_error(); /* clearing looks at each place in the queue */
    wire->io_errno = 0;
    wire->taken = 0;
}

enum wire_result wire_handshake(struct wire *wire)
{
    before_tls_call(wire);
    int ret = SSL_do_handshake(wire->ssl);
    wire->emptied = false;
    if (ret == 1) {
        tls_forget_exchange(wire->ssl);
        return WIRE_OK;
    }
    enum wire_result result = tls_result(wire, ret);
    if (result != WIRE_END) return result;
    wire->alert_sent = false;
    wire->why = "tls: refused by the peer";
    return WIRE_BROKEN;
}

static enum wire_result read_plain(struct wire *wire, void *mem, size_t cap, size_t *got)
{
    ssize_t n = recv(wire->fd, mem, cap, 0);
    if (n > 0) {
        *got = (size_t)n;
        return WIRE_OK;
    }
    if (n == 0) return WIRE_END;
    return would_block(errno) ? WIRE_WANT_READ : broken_by_errno(wire, errno);
}

/* Data makes good for what came before it, but one byte now and then does not make good for everything. */
static void count_barren(struct wire *wire, size_t got)
{
    const size_t good = got > 0 ? FRUIT_BYTES + 2 * got : 0;

    wire->barren += wire->taken;
    wire->barren -= good < wire->barren ? (unsigned)good : wire->barren;
}

enum wire_result wire_read(struct wire *wire, void *mem, size_t cap, size_t *got)
{
    if (!wire->ssl) return read_plain(wire, mem, cap, got);
    if (wire->emptied && !SSL_has_pending(wire->ssl)) {
        wire->emptied = false;
        wire->starved = true;
        return WIRE_WANT_READ;
    }
    before_tls_call(wire);
    int ret = SSL_read_ex(wire->ssl, mem, cap, got);
    count_barren(wire, ret == 1 ? *got : 0);
    const enum wire_result result = ret == 1 ? WIRE_OK : tls_result(wire, ret);
    wire->starved = result == WIRE_WANT_READ;
    if (result != WIRE_OK) wire->emptied = false;
    if ((result != WIRE_OK && result != WIRE_WANT_READ) || wire->barren <= BARREN_MAX_BYTES) return result;
    wire->by_socket = wire->alert_sent = false;
    wire->why = "tls: too many records without data";
    return WIRE_BROKEN;
}

enum wire_result wire_write_plain(struct wire *wire, const void *data, size_t len, size_t *put)
{
    ssize_t n = send(wire->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0) {
        *put = (size_t)n;
        return WIRE_OK;
    }
    return would_block(errno) ? WIRE_WANT_WRITE : broken_by_errno(wire, errno);
}

enum wire_result wire_write(struct wire *wire, const void *data, size_t len, size_t *put)
{
    if (!wire->ssl) return wire_write_plain(wire, data, len, put);
    before_tls_call(wire);
    int ret = SSL_write_ex(wire->ssl, data, len, put);
    if (ret == 1) return WIRE_OK;
    enum wire_result result = tls_result(wire, ret);
    return result == WIRE_END ? broken_by_errno(wire, EPIPE) : result;
}

enum wire_result wire_discard(struct wire *wire, void *mem, size_t cap)
{
    size_t got;

    return read_plain(wire, mem, cap, &got);
}

enum wire_result wire_end(struct wire *wire)
{
    if (wire->ssl && SSL_is_init_finished(wire->ssl)) {
        before_tls_call(wire);
        int ret = SSL_shutdown(wire->ssl);
        if (ret < 0) {
            enum wire_result result = tls_result(wire, ret);
            /* Waiting to read means that ours is sent: the peer's end is not waited for here. */
            if (result == WIRE_WANT_WRITE || result == WIRE_BROKEN) return result;
        }
    }
    if (shutdown(wire->fd, SHUT_WR) != 0 && errno != ENOTCONN) return broken_by_errno(wire, errno);
    return WIRE_OK;
}

bool wire_holds(const struct wire *wire)
{
    return wire->ssl && !wire->starved && SSL_has_pending(wire->ssl);
}

/* OpenSSL before 3.0.14 frees them under a record of which only the header has come, or of which not all was read
 * (CVE-2024-4741). */
void wire_rest(struct wire *wire)
{
    if (SSL_has_pending(wire->ssl) || strcmp(SSL_rstate_string(wire->ssl), "RH") != 0) return;
    (void)SSL_free_buffers(wire->ssl);
}

void wire_close(struct wire *wire)
{
    if (wire->ssl) mem_count_freed(TLS_BYTES);
    SSL_free(wire->ssl);
    wire->ssl = NULL;
    if (wire->fd >= 0) close(wire->fd);
    wire->fd = -1;
}
