#include "gateway/explain_input.h"

#include "gateway/clienthello.h"
#include "lib/mem.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    static const char DIGITS[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(DIGITS, c) : NULL;
    return found != NULL ? (int)((found - DIGITS) % 16) : -1;
}

static int read_hex(const char *hex, uint8_t *out, size_t cap, size_t *len, char *error, size_t error_cap)
{
    for (const char *at = hex; *at != '\0'; at++) {
        if (*at == ' ' || *at == ':' || *at == '\n') continue;
        int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
        if (low < 0) {
            snprintf(error, error_cap, "--hex: expected two hexadecimal digits for each byte, not \"%.8s\"", at);
            return -1;
        }
        if (*len < cap) out[(*len)++] = (uint8_t)(high << 4 | low);
        at++;
    }
    return 0;
}

static int read_file(const char *path, uint8_t *out, size_t cap, size_t *len, char *error, size_t error_cap)
{
    FILE *file = fopen(path, "rbe");
    errno = file != NULL ? 0 : errno;
    if (file != NULL) *len = fread(out, 1, cap, file);
    bool failed = file == NULL || ferror(file);
    if (failed) snprintf(error, error_cap, "--bytes: %s: %s", path, strerror(errno));
    if (file != NULL) fclose(file);
    return failed ? -1 : 0;
}

/* Turn "h2,http/1.1" into what stands in a hello.  Returns its length, 0 when it is malformed. */
static size_t alpn_wire(const char *names, uint8_t *out, size_t cap)
{
    size_t used = 0;
    for (const char *at = names;; at++) {
        size_t len = strcspn(at, ",");
        if (len == 0 || len > 255 || used + 1 + len > cap) return 0;
        out[used] = (uint8_t)len;
        memcpy(out + used + 1, at, len);
        used += 1 + len;
        at += len;
        if (*at == '\0') return used;
    }
}

static int set_names(SSL *ssl, const struct explain_request *request, char *error, size_t error_cap)
{
    uint8_t alpn[CLIENTHELLO_ALPN_MAX_BYTES];
    size_t alpn_len = request->alpn != NULL ? alpn_wire(request->alpn, alpn, sizeof(alpn)) : 0;
    if (request->alpn != NULL && (alpn_len == 0 || SSL_set_alpn_protos(ssl, alpn, (unsigned)alpn_len) != 0)) {
        snprintf(error, error_cap, "--alpn: expected names separated by commas, such as h2,http/1.1");
        return -1;
    }
    if (request->sni == NULL) return 0;
    char *sni = mem_strdup(request->sni); /* OpenSSL's macro takes no const */
    bool good = sni[0] != '\0' && SSL_set_tlsext_host_name(ssl, sni) == 1;
    free(sni);
    if (!good) snprintf(error, error_cap, "--sni: expected a host name");
    return good ? 0 : -1;
}

static int compose_hello(const struct explain_request *request, uint8_t *out, size_t cap, size_t *len, char *error,
                         size_t error_cap)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
    CHECK(ssl != NULL && in != NULL && sent != NULL);
    SSL_set_bio(ssl, in, sent);
    int result = set_names(ssl, request, error, error_cap);
    if (result == 0) {
        (void)SSL_connect(ssl); /* wants to read the answer */
        int got = BIO_read(sent, out, (int)cap);
        *len = got > 0 ? (size_t)got : 0;
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return result;
}

int explain_input(const struct explain_request *request, uint8_t *out, size_t cap, size_t *len, char *error,
                  size_t error_cap)
{
    bool hello = request->sni != NULL || request->alpn != NULL;
    int result = 0;
    *len = 0;
    if (hello + (request->hex != NULL) + (request->file != NULL) + request->silent != 1) {
        snprintf(error, error_cap, "--explain: expected one of --sni and --alpn, --hex, --bytes, or --silent");
        return -1;
    }
    if (request->silent) return 0;
    if (hello) result = compose_hello(request, out, cap, len, error, error_cap);
    if (request->hex != NULL) result = read_hex(request->hex, out, cap, len, error, error_cap);
    if (request->file != NULL) result = read_file(request->file, out, cap, len, error, error_cap);
    if (result < 0 || *len > 0) return result;
    snprintf(error, error_cap, "--explain: there is no byte; for a client that says nothing use --silent");
    return -1;
}
