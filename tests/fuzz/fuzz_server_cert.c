#include "backend/cert_domain.h"
#include "backend/dane.h"
#include "backend/server_cert.h"
#include "backend/server_trust.h"
#include "lib/check.h"
#include "lib/tls_ask.h"

#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHAIN_MAX = TLS_ASK_CHAIN_MAX + 1 };

/* Certificates in DER, one behind the other. */
static STACK_OF(X509) * read_chain(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    STACK_OF(X509) *chain = sk_X509_new_null();
    while (at < data + size && sk_X509_num(chain) < CHAIN_MAX) {
        X509 *cert = d2i_X509(NULL, &at, data + size - at);
        if (!cert) break;
        CHECK(sk_X509_push(chain, cert) > 0);
    }
    ERR_clear_error();
    return chain;
}

/* The same bytes as the data of TLSA records of each kind. */
static void check_records(struct server_cert *out, struct server_trust *trust, STACK_OF(X509) * chain,
                          const uint8_t *data, size_t size)
{
    const struct s2s_policy policy = {.dane = true};
    const size_t len = size < 64 ? size : size % 3 == 0 ? size : size % 3 == 1 ? 32 : 64;
    for (unsigned kind = 0; kind < 4 * 2 * 3; kind++) {
        struct dialer_tlsa record = {.usage = (uint8_t)(kind % 4),
                                     .selector = (uint8_t)(kind / 4 % 2),
                                     .matching = (uint8_t)(kind / 8),
                                     .data = (uint8_t *)(uintptr_t)data,
                                     .len = len};
        const struct dialer_way way = {.target = "mx.a.test", .secure = true, .tlsa = &record, .tlsa_count = 1};
        server_cert_check(out, trust, chain, "a.test", &policy, &way);
        CHECK((out->by == SERVER_CERT_NONE) == (out->why != NULL));
        CHECK(out->by != SERVER_CERT_DANE || dane_is_usable(&record, 1, 0));
        CHECK(out->by != SERVER_CERT_DANE || record.usage == DANE_TA || record.usage == DANE_EE);
    }
}

/* Whatever is shown: without authorities none of it proves anything, and its own key always does where it is pinned. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct server_trust *trust;
    static const char *const DOMAINS[] = {"a.test", "x.a.test", "192.0.2.1", "[2001:db8::1]", "b\xc3\xbc\x63her.test"};
    uint8_t pin[1][S2S_PIN_BYTES];
    struct s2s_policy policy = {.dane = true};
    struct server_cert out;
    if (!trust) trust = server_trust_new("/nonexistent", NULL);
    STACK_OF(X509) *chain = read_chain(data, size);
    for (size_t i = 0; i < ARRAY_LEN(DOMAINS); i++) {
        server_cert_check(&out, trust, chain, DOMAINS[i], &policy, NULL);
        CHECK(out.by == SERVER_CERT_NONE && out.why);
        if (sk_X509_num(chain) > 0) (void)cert_domain_has(sk_X509_value(chain, 0), DOMAINS[i]);
    }
    check_records(&out, trust, chain, data, size);
    if (sk_X509_num(chain) > 0) {
        server_cert_fingerprint(sk_X509_value(chain, 0), pin[0]);
        policy.pins = (const uint8_t(*)[S2S_PIN_BYTES])pin;
        policy.pin_count = 1;
        server_cert_check(&out, trust, chain, "a.test", &policy, NULL);
        CHECK(out.by == SERVER_CERT_PIN);
    }
    sk_X509_pop_free(chain, X509_free);
    return 0;
}
