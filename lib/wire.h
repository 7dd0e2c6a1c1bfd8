/* wire - one non-blocking step of reading, writing or ending a byte stream, plain or TLS.
 *
 * It knows no loop: io drives it.  It never raises SIGPIPE. */
#ifndef POSTERN_LIB_WIRE_H
#define POSTERN_LIB_WIRE_H

#include "lib/check.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/* May not move while TLS is in use: the TLS layer points back at it. */
struct wire {
    int fd;
    int io_errno;    /* of the TLS layer's last system call that failed */
    unsigned taken;  /* bytes that the TLS layer has read in this step */
    unsigned barren; /* and that no data has made good for: see wire.c */
    bool eof;        /* the TLS layer has met the end of the descriptor */
    bool emptied;    /* its last read took all there was: the next one, of the same turn, need not ask */
    bool starved;    /* TLS has no whole record in its hands, as the last read has shown */
    SSL *ssl;        /* NULL: plain */
    const char *why; /* static text, set with WIRE_BROKEN */
    bool alert_sent; /* with WIRE_BROKEN: we found the fault and have told the peer by an alert */
    bool by_socket;  /* with WIRE_BROKEN: a system call failed; else TLS did, or the end came without close_notify */
};

enum wire_result {
    WIRE_OK,
    WIRE_WANT_READ,  /* nothing done: try again when the descriptor is readable */
    WIRE_WANT_WRITE, /* likewise, writable */
    WIRE_END,        /* reading: the peer ended in order */
    WIRE_BROKEN,     /* why says how */
};

/* wire_take_tls - all later steps are those of TLS, as a server or (tls_client_ssl) a client, and the handshake is
 * first; takes ssl. */
void wire_take_tls(struct wire *wire, SSL *ssl);

MUSTCHECK enum wire_result wire_handshake(struct wire *wire);

/* wire_read - WIRE_OK: *got (> 0) bytes are in mem.  However much the peer sends, one step takes one record's worth and
 * little more from the descriptor; a peer that sends records without data, such as updates of keys, on and on is broken
 * off. */
MUSTCHECK enum wire_result wire_read(struct wire *wire, void *mem, size_t cap, size_t *got);

/* wire_write - WIRE_OK: *put (> 0) bytes of data are taken.  After another result the next call must begin with the
 * same bytes and be no shorter. */
MUSTCHECK enum wire_result wire_write(struct wire *wire, const void *data, size_t len, size_t *put);

/* wire_write_plain - as wire_write, past TLS: for what was queued before TLS began. */
MUSTCHECK enum wire_result wire_write_plain(struct wire *wire, const void *data, size_t len, size_t *put);

/* wire_discard - read and drop bytes past TLS, to let our last alert reach a peer that still sends. */
MUSTCHECK enum wire_result wire_discard(struct wire *wire, void *mem, size_t cap);

/* wire_end - end our direction: close_notify under TLS, then FIN. */
MUSTCHECK enum wire_result wire_end(struct wire *wire);

/* wire_holds - whether a read may give bytes although the descriptor is silent: TLS takes several records at once, and
 * has them in its hands, decrypted or not. */
bool wire_holds(const struct wire *wire);

/* wire_rest - give back the memory in which TLS keeps records, unless one of them is half read or half written. */
void wire_rest(struct wire *wire);

/* wire_close - close the descriptor and free the TLS state. */
void wire_close(struct wire *wire);

#endif
