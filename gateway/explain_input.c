#include "gateway/explain_input.h"

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

/* 0x0303 for "1.2"; 0: none. */
static uint16_t version_of(const char *text)
{
    if (strlen(text) != 3 || text[0] != '1' || text[1] != '.' || text[2] < '0' || text[2] > '3') return 0;
    return (uint16_t)(0x0301 + text[2] - '0');
}

static int set_version(SSL *ssl, const struct explain_request *request, char *error, size_t error_cap)
{
    if (request->tls_version == NULL) return 0;
    int version = version_of(request->tls_version);
    SSL_set_security_level(ssl, 0); /* which would leave the old ones out; nothing is ever sent */
    if (version != 0 && SSL_set_min_proto_version(ssl, version) == 1 && SSL_set_max_proto_version(ssl, version) == 1)
        return 0;
    snprintf(error, error_cap, "--tls-version: expected one of 1.0, 1.1, 1.2, 1.3, not \"%s\"", request->tls_version);
    return -1;
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
    if (result == 0) result = set_version(ssl, request, error, error_cap);
    if (result == 0) {
        (void)SSL_connect(ssl); /* wants to read the answer */
        int got = BIO_read(sent, out, (int)cap);
        *len = got > 0 ? (size_t)got : 0;
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return result;
}

/* "192.0.2.1", "192.0.2.1:443", "2001:db8::1", "[2001:db8::1]:443". */
static int read_address(const char *option, const char *text, struct addr *out, char *error, size_t cap)
{
    char with_port[ADDR_TEXT_BYTES + 8];
    const char *why, *colon = strchr(text, ':');
    bool bare_v6 = text[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL;
    struct endpoint endpoint;
    snprintf(with_port, sizeof(with_port), bare_v6 ? "[%s]:0" : "%s:0", text);
    if ((!bare_v6 && endpoint_parse(text, &endpoint, &why) == 0) || endpoint_parse(with_port, &endpoint, &why) == 0) {
        addr_from_sockaddr(out, &endpoint.sa, endpoint.len);
        if (out->sa.sa_family != AF_UNSPEC && strchr(text, '*') == NULL) return 0;
    }
    snprintf(error, cap, "--%s: expected an address, with or without a port, not \"%s\"", option, text);
    return -1;
}

static int read_negotiated(const struct explain_request *request, struct clienthello *out, char *error, size_t cap)
{
    const char *alpn = request->alpn;
    uint16_t version = request->tls_version != NULL ? version_of(request->tls_version) : 0x0304;
    clienthello_negotiated(out, request->sni, (const uint8_t *)alpn, alpn != NULL ? strlen(alpn) : 0, version);
    if (version == 0) {
        snprintf(error, cap, "--tls-version: expected one of 1.0, 1.1, 1.2, 1.3, not \"%s\"", request->tls_version);
        return -1;
    }
    if (alpn != NULL && (!out->has_alpn || strchr(alpn, ',') != NULL)) {
        snprintf(error, cap, "--alpn: expected the one name that was negotiated beside --inside");
        return -1;
    }
    if (request->sni == NULL || out->has_sni) return 0;
    snprintf(error, cap, "--sni: expected a host name");
    return -1;
}

static int read_bytes(const struct explain_request *request, size_t limit, struct explain_input *out, char *error,
                      size_t cap)
{
    bool names = request->sni != NULL || request->alpn != NULL || request->tls_version != NULL;
    bool hello = names && request->inside == NULL;
    int result = 0;
    if (hello + (request->hex != NULL) + (request->file != NULL) + request->silent != 1) {
        snprintf(error, cap,
                 "--explain: expected one of --sni, --alpn and --tls-version, --hex, --bytes, or --silent%s",
                 request->inside != NULL ? "; with --inside one of the last three" : "");
        return -1;
    }
    if (request->silent) return 0;
    if (hello) result = compose_hello(request, out->bytes, limit, &out->len, error, cap);
    if (request->hex != NULL) result = read_hex(request->hex, out->bytes, limit, &out->len, error, cap);
    if (request->file != NULL) result = read_file(request->file, out->bytes, limit, &out->len, error, cap);
    if (result < 0 || out->len > 0) return result;
    snprintf(error, cap, "--explain: there is no byte; for a client that says nothing use --silent");
    return -1;
}

int explain_input(const struct explain_request *request, size_t limit, struct explain_input *out, char *error,
                  size_t cap)
{
    *out = (struct explain_input){0};
    if (request->source != NULL && read_address("source", request->source, &out->source, error, cap) < 0) return -1;
    if (request->destination != NULL &&
        read_address("destination", request->destination, &out->destination, error, cap) < 0)
        return -1;
    if (request->inside != NULL && read_negotiated(request, &out->negotiated, error, cap) < 0) return -1;
    out->bytes = mem_alloc(limit);
    if (read_bytes(request, limit, out, error, cap) == 0) return 0;
    free(out->bytes);
    out->bytes = NULL;
    return -1;
}
