/* What proves another server's domain: authorities, dates, uses, revocation, pinned keys, TLSA records. */
#include "backend/server_cert.h"

#include "backend/dane.h"
#include "backend/server_trust.h"
#include "tests/unit/pki_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CA       "critical,CA:TRUE"
#define CA_USE   "critical,keyCertSign,cRLSign"
#define FOR(...) ((const struct pki_cert *[]){__VA_ARGS__})

/* root (trusted) -> between -> a.test; stranger is an authority that nobody trusts. */
static const struct pki_spec ROOT = {.name = "root", .basic = CA, .key_use = CA_USE};
static const struct pki_spec BETWEEN = {.name = "between", .basic = CA, .key_use = CA_USE};
static const struct pki_spec STRANGER = {.name = "stranger", .basic = CA, .key_use = CA_USE};
static const struct pki_spec LEAF = {.name = "-", .alt = "DNS:a.test", .basic = "CA:FALSE"};

static struct pki_cert root, between, stranger, leaf;
static struct server_trust *trust;
static char folder[64], ca_file[96], crl_file[96];
static struct s2s_policy policy;
static struct server_cert result;

static void check_chain(const struct pki_cert *const *certs, size_t count, const struct dialer_way *way)
{
    STACK_OF(X509) *chain = pki_chain(certs, count);
    server_cert_check(&result, trust, chain, "a.test", &policy, way);
    sk_X509_pop_free(chain, X509_free);
    assert_int_equal(result.by == SERVER_CERT_NONE, result.why != NULL);
}

static void assert_proved(enum server_cert_by by)
{
    if (result.by != by) fail_msg("by %d: %s", result.by, result.why ? result.why : "-");
}

static void assert_refused(const char *why)
{
    assert_int_equal(result.by, SERVER_CERT_NONE);
    if (!strstr(result.why, why)) fail_msg("%s: not %s", result.why, why);
}

/* A certificate of the trusted authority between that is as the spec says; its domain is a.test where none is said. */
static void check_leaf(struct pki_spec spec)
{
    if (!spec.name) spec.name = "-";
    if (!spec.alt) spec.alt = "DNS:a.test";
    struct pki_cert made = pki_make(&spec, &between);
    check_chain(FOR(&made, &between), 2, NULL);
    pki_drop(&made);
}

#define CHECK_LEAF(...) check_leaf((struct pki_spec){__VA_ARGS__})

/* Conforms: RFC 6120, 13.7.2.1: a path to an authority */
static void test_authorities(void **state)
{
    (void)state;
    check_chain(FOR(&leaf, &between), 2, NULL);
    assert_proved(SERVER_CERT_PKIX);
    check_chain(FOR(&leaf, &between, &root), 3, NULL);
    assert_proved(SERVER_CERT_PKIX);
    check_chain(FOR(&leaf), 1, NULL);
    assert_refused("intermediate");
    struct pki_cert self = pki_make(&LEAF, NULL), foreign = pki_make(&LEAF, &stranger);
    check_chain(FOR(&self), 1, NULL);
    assert_refused("self-signed");
    check_chain(FOR(&foreign), 1, NULL);
    assert_refused("not trusted");
    check_chain(FOR(&foreign, &stranger), 2, NULL);
    assert_refused("not trusted");
    /* The name of the authority is right, the signature is another's. */
    struct pki_cert impostor = pki_make(&ROOT, NULL), forged = pki_make(&LEAF, &impostor);
    check_chain(FOR(&forged, &impostor), 2, NULL);
    assert_refused("signature");
    pki_drop(&self);
    pki_drop(&foreign);
    pki_drop(&impostor);
    pki_drop(&forged);
    server_cert_check(&result, trust, NULL, "a.test", &policy, NULL);
    assert_refused("there is none");
}

/* Conforms: RFC 6120, 13.7.2.1: an identifier for the domain */
static void test_names(void **state)
{
    (void)state;
    CHECK_LEAF(.alt = "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-server.a.test");
    assert_proved(SERVER_CERT_PKIX);
    CHECK_LEAF(.alt = "DNS:b.test");
    assert_refused("not for this domain");
    CHECK_LEAF(.name = "a.test", .alt = "DNS:b.test");
    assert_refused("not for this domain");
}

/* Conforms: RFC 6120, 13.7.2.1: it is valid now */
static void test_dates(void **state)
{
    (void)state;
    CHECK_LEAF(.from_days = -20, .to_days = -1);
    assert_refused("it has expired");
    CHECK_LEAF(.from_days = 1, .to_days = 20);
    assert_refused("it is not valid yet");
    struct pki_cert old =
        pki_make(&(struct pki_spec){.name = "old", .basic = CA, .from_days = -20, .to_days = -1}, &root);
    struct pki_cert of_old = pki_make(&LEAF, &old);
    check_chain(FOR(&of_old, &old), 2, NULL);
    assert_refused("the certificate of its authority has expired");
    pki_drop(&old);
    pki_drop(&of_old);
}

static void test_uses(void **state)
{
    static const char *const GOOD[] = {"serverAuth", "clientAuth", "serverAuth,clientAuth", "anyExtendedKeyUsage",
                                       "1.3.6.1.5.5.7.8.5"};
    static const char *const BAD[] = {"codeSigning", "emailProtection,OCSPSigning", "1.2.3.4"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        CHECK_LEAF(.use = GOOD[i]);
        assert_proved(SERVER_CERT_PKIX);
    }
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        CHECK_LEAF(.use = BAD[i]);
        assert_refused("extendedKeyUsage");
    }
    CHECK_LEAF(.key_use = "critical,digitalSignature");
    assert_proved(SERVER_CERT_PKIX);
    CHECK_LEAF(.key_use = "critical,nonRepudiation");
    assert_refused("keyUsage");
    CHECK_LEAF(.basic = CA);
    assert_refused("certificate of an authority");
}

/* The authority between may only issue for what it is for. */
static void test_uses_of_authorities(void **state)
{
    static const struct {
        const char *of_authority, *of_leaf;
        bool good;
    } ROWS[] = {
        {"serverAuth", "serverAuth", true},  {"serverAuth,clientAuth", "clientAuth", true},
        {"serverAuth", NULL, true},          {"anyExtendedKeyUsage", "clientAuth", true},
        {"serverAuth", "clientAuth", false}, {"emailProtection", "serverAuth", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct pki_spec above = BETWEEN, below = LEAF;
        above.use = ROWS[i].of_authority;
        below.use = ROWS[i].of_leaf;
        struct pki_cert authority = pki_make(&above, &root), made = pki_make(&below, &authority);
        check_chain(FOR(&made, &authority), 2, NULL);
        if (ROWS[i].good)
            assert_proved(SERVER_CERT_PKIX);
        else
            assert_refused("extendedKeyUsage");
        pki_drop(&authority);
        pki_drop(&made);
    }
}

/* Who may not sign certificates cannot vouch for anybody. */
static void test_who_may_sign(void **state)
{
    static const struct pki_spec NOT_CA[] = {
        {.name = "b.test", .alt = "DNS:b.test", .basic = "CA:FALSE"},
        {.name = "c.test", .alt = "DNS:c.test"},
        {.name = "d", .basic = CA, .key_use = "digitalSignature"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(NOT_CA); i++) {
        struct pki_cert other = pki_make(&NOT_CA[i], &root), made = pki_make(&LEAF, &other);
        check_chain(FOR(&made, &other), 2, NULL);
        assert_int_equal(result.by, SERVER_CERT_NONE);
        pki_drop(&other);
        pki_drop(&made);
    }
    /* pathlen 0: an authority below it may not sign */
    struct pki_spec last = {.name = "last", .basic = "critical,CA:TRUE,pathlen:0"};
    struct pki_cert above = pki_make(&last, &root), below = pki_make(&BETWEEN, &above), made = pki_make(&LEAF, &below);
    check_chain(FOR(&made, &below, &above), 3, NULL);
    assert_refused("path length");
    pki_drop(&above);
    pki_drop(&below);
    pki_drop(&made);
}

static void test_what_a_check_may_cost(void **state)
{
    (void)state;
    CHECK_LEAF(.key = "DSA");
    assert_refused("kind or size");
    CHECK_LEAF(.key = "RSA1024");
    assert_refused("too weak");
    const struct pki_cert *many[11] = {&leaf};
    for (size_t i = 1; i < ARRAY_LEN(many); i++)
        many[i] = &between;
    check_chain(many, ARRAY_LEN(many), NULL);
    assert_refused("too long");
    check_chain(many, ARRAY_LEN(many) - 1, NULL);
    assert_proved(SERVER_CERT_PKIX);
}

/* What an administrator has named in s2s-ca is trusted for itself, whatever else it is. */
static void test_a_certificate_as_its_own_authority(void **state)
{
    char why[256];
    struct pki_spec spec = LEAF;
    (void)state;
    spec.basic = CA;
    struct pki_cert own = pki_make(&spec, NULL);
    struct server_trust *kept = trust;
    pki_write(ca_file, FOR(&own), 1);
    trust = server_trust_new(ca_file, NULL);
    assert_int_equal(server_trust_check(trust, why, sizeof(why)), 0);
    check_chain(FOR(&own), 1, NULL);
    assert_proved(SERVER_CERT_PKIX);
    check_chain(FOR(&leaf, &between, &root), 3, NULL);
    assert_refused("not trusted");
    server_trust_free(&trust);
    trust = kept;
    pki_write(ca_file, FOR(&root), 1);
    pki_drop(&own);
}

/* Checks leaf by a trust of its own that has the list. */
static void check_with_list(const struct pki_cert *issuer, const struct pki_cert *revoked, int next_days)
{
    struct server_trust *kept = trust;
    pki_write_list(crl_file, issuer, revoked, next_days);
    trust = server_trust_new(ca_file, crl_file);
    check_chain(FOR(&leaf, &between), 2, NULL);
    server_trust_free(&trust);
    trust = kept;
}

static void test_revocation(void **state)
{
    (void)state;
    check_with_list(&between, NULL, 1);
    assert_proved(SERVER_CERT_PKIX);
    check_with_list(&between, &leaf, 1);
    assert_refused("it is revoked");
    check_with_list(&root, &between, 1);
    assert_refused("the certificate of its authority is revoked");
    /* An old list is better than none. */
    check_with_list(&between, &leaf, -1);
    assert_refused("it is revoked");
    check_with_list(&between, NULL, -1);
    assert_proved(SERVER_CERT_PKIX);
    /* Of another authority. */
    check_with_list(&stranger, &leaf, 1);
    assert_proved(SERVER_CERT_PKIX);
    /* In the authority's name, by somebody else. */
    struct pki_cert impostor = pki_make(&BETWEEN, NULL);
    check_with_list(&impostor, NULL, 1);
    assert_refused("CRL");
    pki_drop(&impostor);
}

static void test_pins(void **state)
{
    uint8_t pins[2][S2S_PIN_BYTES] = {{0}};
    (void)state;
    policy.pins = (const uint8_t(*)[S2S_PIN_BYTES])pins;
    policy.pin_count = 2;
    check_chain(FOR(&leaf, &between), 2, NULL);
    assert_refused("pinned");
    assert_true(result.wrong_pin);
    struct pki_cert foreign = pki_make(&(struct pki_spec){.name = "x", .from_days = -9, .to_days = -8}, &stranger);
    server_cert_fingerprint(foreign.cert, pins[1]);
    check_chain(FOR(&foreign), 1, NULL);
    assert_proved(SERVER_CERT_PIN);
    assert_false(result.wrong_pin);
    /* It is the key of the server that is pinned, not one somewhere in what it sends. */
    check_chain(FOR(&leaf, &foreign), 2, NULL);
    assert_refused("pinned");
    pki_drop(&foreign);
    policy.pins = NULL;
    policy.pin_count = 0;
}

/* A record for a certificate, made as its fields say. */
static struct dialer_tlsa record_of(uint8_t usage, uint8_t selector, uint8_t matching, X509 *cert)
{
    struct dialer_tlsa record = {.usage = usage, .selector = selector, .matching = matching};
    unsigned char *der = NULL;
    const int len = selector == 1 ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : i2d_X509(cert, &der);
    unsigned digest_len = 0;
    record.data = malloc(len > 64 ? (size_t)len : 64);
    record.len = (size_t)len;
    memcpy(record.data, der, (size_t)len);
    if (matching > 0) {
        EVP_Digest(der, (size_t)len, record.data, &digest_len, matching == 2 ? EVP_sha512() : EVP_sha256(), NULL);
        record.len = digest_len;
    }
    OPENSSL_free(der);
    return record;
}

static void check_by_dns(const struct pki_cert *const *certs, size_t count, struct dialer_tlsa record)
{
    const struct dialer_way way = {.target = "mx.b.test", .secure = true, .tlsa = &record, .tlsa_count = 1};
    check_chain(certs, count, &way);
    free(record.data);
}

/* Conforms: RFC 7673, 4.2: a key in a TLSA record proves the server */
static void test_dane_ee(void **state)
{
    (void)state;
    struct pki_cert own =
        pki_make(&(struct pki_spec){.name = "x", .alt = "DNS:c.test", .from_days = -9, .to_days = -8}, NULL);
    for (uint8_t selector = 0; selector < 2; selector++) {
        for (uint8_t matching = 0; matching < 3; matching++) {
            check_by_dns(FOR(&own), 1, record_of(DANE_EE, selector, matching, own.cert));
            assert_proved(SERVER_CERT_DANE);
            check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_EE, selector, matching, own.cert));
            assert_refused("TLSA");
        }
    }
    /* not a key elsewhere in the chain */
    check_by_dns(FOR(&leaf, &own), 2, record_of(DANE_EE, 1, 1, own.cert));
    assert_refused("TLSA");
    pki_drop(&own);
}

/* Conforms: RFC 7673, 9.2: an authority in a TLSA record proves only certificates with the domain's or target's name */
static void test_dane_ta(void **state)
{
    (void)state;
    struct pki_cert good = pki_make(&LEAF, &stranger);
    struct pki_cert other = pki_make(&(struct pki_spec){.name = "-", .alt = "DNS:c.test"}, &stranger);
    struct pki_cert target = pki_make(&(struct pki_spec){.name = "-", .alt = "DNS:mx.b.test"}, &stranger);
    struct pki_cert old =
        pki_make(&(struct pki_spec){.name = "-", .alt = "DNS:a.test", .from_days = -9, .to_days = -8}, &stranger);
    for (uint8_t selector = 0; selector < 2; selector++) {
        for (uint8_t matching = 0; matching < 3; matching++) {
            check_by_dns(FOR(&good, &stranger), 2, record_of(DANE_TA, selector, matching, stranger.cert));
            assert_proved(SERVER_CERT_DANE);
        }
    }
    check_by_dns(FOR(&target, &stranger), 2, record_of(DANE_TA, 1, 1, stranger.cert));
    assert_proved(SERVER_CERT_DANE);
    check_by_dns(FOR(&other, &stranger), 2, record_of(DANE_TA, 1, 1, stranger.cert));
    assert_refused("not for this domain");
    check_by_dns(FOR(&old, &stranger), 2, record_of(DANE_TA, 1, 1, stranger.cert));
    assert_refused("expired");
    /* The whole certificate stands in the record, and need not be sent. */
    check_by_dns(FOR(&good), 1, record_of(DANE_TA, 0, 0, stranger.cert));
    assert_proved(SERVER_CERT_DANE);
    check_by_dns(FOR(&good), 1, record_of(DANE_TA, 0, 1, stranger.cert));
    assert_refused("TLSA");
    /* The authority is in what was sent, but has signed nothing of it. */
    check_by_dns(FOR(&leaf, &between, &stranger), 3, record_of(DANE_TA, 1, 1, stranger.cert));
    assert_int_equal(result.by, SERVER_CERT_NONE);
    /* An authority between will do; a server's own key is none. */
    check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_TA, 1, 1, between.cert));
    assert_proved(SERVER_CERT_DANE);
    check_by_dns(FOR(&good, &stranger), 2, record_of(DANE_TA, 1, 1, good.cert));
    assert_refused("TLSA");
    pki_drop(&good);
    pki_drop(&other);
    pki_drop(&target);
    pki_drop(&old);
}

static void test_dane_with_pkix(void **state)
{
    (void)state;
    struct pki_cert self = pki_make(&LEAF, NULL);
    check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_PKIX_EE, 1, 1, leaf.cert));
    assert_proved(SERVER_CERT_DANE);
    check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_PKIX_EE, 1, 1, between.cert));
    assert_refused("TLSA");
    check_by_dns(FOR(&self), 1, record_of(DANE_PKIX_EE, 1, 1, self.cert));
    assert_refused("self-signed");
    check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_PKIX_TA, 1, 1, root.cert));
    assert_proved(SERVER_CERT_DANE);
    check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_PKIX_TA, 0, 2, between.cert));
    assert_proved(SERVER_CERT_DANE);
    check_by_dns(FOR(&leaf, &between), 2, record_of(DANE_PKIX_TA, 1, 1, leaf.cert));
    assert_refused("TLSA");
    check_by_dns(FOR(&leaf, &between, &stranger), 3, record_of(DANE_PKIX_TA, 1, 1, stranger.cert));
    assert_refused("TLSA");
    pki_drop(&self);
}

/* What cannot be understood is as if it were not there. */
/* Conforms: RFC 7673, 4.1: records that cannot be used are as if they were not there */
static void test_dane_unusable(void **state)
{
    uint8_t data[64] = {0};
    const struct dialer_tlsa rows[] = {
        {.usage = 4, .selector = 1, .matching = 1, .data = data, .len = 32},
        {.usage = 255, .selector = 1, .matching = 1, .data = data, .len = 32},
        {.usage = 3, .selector = 2, .matching = 1, .data = data, .len = 32},
        {.usage = 3, .selector = 1, .matching = 3, .data = data, .len = 32},
        {.usage = 3, .selector = 1, .matching = 1, .data = data, .len = 31},
        {.usage = 3, .selector = 1, .matching = 2, .data = data, .len = 32},
        {.usage = 3, .selector = 1, .matching = 0, .data = data, .len = 64},
        {.usage = 2, .selector = 0, .matching = 0, .data = data, .len = 64},
        {.usage = 3, .selector = 1, .matching = 1, .data = NULL, .len = 0},
    };
    struct dialer_way way = {.target = "a.test", .secure = true, .tlsa = rows, .tlsa_count = ARRAY_LEN(rows)};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (dane_is_usable(rows, ARRAY_LEN(rows), i)) fail_msg("row %zu", i);
    check_chain(FOR(&leaf, &between), 2, &way);
    assert_proved(SERVER_CERT_PKIX);
    struct pki_cert self = pki_make(&LEAF, NULL);
    check_chain(FOR(&self), 1, &way);
    assert_refused("self-signed");
    pki_drop(&self);
}

/* RFC 7671 section 9: of two digests for the same purpose the stronger one counts. */
static void test_dane_digests(void **state)
{
    (void)state;
    struct dialer_tlsa records[] = {record_of(DANE_EE, 1, 1, leaf.cert), record_of(DANE_EE, 1, 2, root.cert)};
    const struct dialer_way way = {.target = "a.test", .secure = true, .tlsa = records, .tlsa_count = 2};
    check_chain(FOR(&leaf, &between), 2, &way);
    assert_refused("TLSA");
    records[1].selector = 0; /* now they are for different purposes */
    check_chain(FOR(&leaf, &between), 2, &way);
    assert_proved(SERVER_CERT_DANE);
    free(records[0].data);
    free(records[1].data);
}

static void test_dane_and_others(void **state)
{
    uint8_t pins[1][S2S_PIN_BYTES];
    (void)state;
    struct pki_cert self = pki_make(&LEAF, NULL);
    /* one that fits is enough */
    struct dialer_tlsa records[] = {record_of(DANE_EE, 1, 1, root.cert), record_of(DANE_EE, 1, 1, self.cert)};
    const struct dialer_way way = {.target = "a.test", .secure = true, .tlsa = records, .tlsa_count = 2};
    check_chain(FOR(&self), 1, &way);
    assert_proved(SERVER_CERT_DANE);
    /* what DNS says counts more than what authorities say, unless the policy does not listen to it */
    check_chain(FOR(&leaf, &between), 2, &way);
    assert_refused("TLSA");
    assert_true(result.denied_by_dns);
    policy.dane = false;
    check_chain(FOR(&leaf, &between), 2, &way);
    assert_proved(SERVER_CERT_PKIX);
    check_chain(FOR(&self), 1, &way);
    assert_refused("self-signed");
    assert_false(result.denied_by_dns);
    policy.dane = true;
    /* a pin counts more than either */
    server_cert_fingerprint(root.cert, pins[0]);
    policy.pins = (const uint8_t(*)[S2S_PIN_BYTES])pins;
    policy.pin_count = 1;
    check_chain(FOR(&self), 1, &way);
    assert_refused("pinned");
    policy.pins = NULL;
    policy.pin_count = 0;
    free(records[0].data);
    free(records[1].data);
    pki_drop(&self);
}

static void test_how_many_records(void **state)
{
    struct dialer_tlsa records[17];
    struct dialer_way way = {.target = "a.test", .secure = true, .tlsa = records};
    (void)state;
    struct dialer_tlsa wrong = record_of(DANE_EE, 1, 1, root.cert), right = record_of(DANE_EE, 1, 1, leaf.cert);
    for (size_t i = 15; i < 17; i++) {
        for (size_t k = 0; k < i; k++)
            records[k] = wrong;
        records[i] = right;
        way.tlsa_count = i + 1;
        check_chain(FOR(&leaf, &between), 2, &way);
        assert_int_equal(result.by, i == 15 ? SERVER_CERT_DANE : SERVER_CERT_NONE);
    }
    free(wrong.data);
    free(right.data);
}

/* Without validated DNS the host that it leads to is nobody's name. */
/* Conforms: RFC 7673, 4.1: the host that validated DNS leads to is as good a name as the domain */
static void test_target(void **state)
{
    struct dialer_way way = {.target = "mx.b.test", .secure = true};
    (void)state;
    struct pki_cert of_target = pki_make(&(struct pki_spec){.name = "-", .alt = "DNS:mx.b.test"}, &between);
    check_chain(FOR(&of_target, &between), 2, &way);
    assert_proved(SERVER_CERT_PKIX);
    way.secure = false;
    check_chain(FOR(&of_target, &between), 2, &way);
    assert_refused("not for this domain");
    check_chain(FOR(&of_target, &between), 2, NULL);
    assert_refused("not for this domain");
    check_chain(FOR(&leaf, &between), 2, &way);
    assert_proved(SERVER_CERT_PKIX);
    pki_drop(&of_target);
}

/* As openssl rehash would. */
static void test_folder(void **state)
{
    char hashed[128], why[256];
    (void)state;
    struct server_trust *kept = trust;
    trust = server_trust_new(folder, NULL);
    assert_int_equal(server_trust_check(trust, why, sizeof(why)), -1);
    assert_int_equal(strncmp(why, folder, strlen(folder)), 0);
    server_trust_free(&trust);
    snprintf(hashed, sizeof(hashed), "%s/%08lx.0", folder, X509_subject_name_hash(root.cert));
    assert_int_equal(symlink(ca_file, hashed), 0);
    trust = server_trust_new(folder, NULL);
    assert_int_equal(server_trust_check(trust, why, sizeof(why)), 0);
    check_chain(FOR(&leaf, &between), 2, NULL);
    assert_proved(SERVER_CERT_PKIX);
    check_chain(FOR(&leaf), 1, NULL);
    assert_refused("intermediate");
    server_trust_free(&trust);
    unlink(hashed);
    trust = kept;
}

static void test_bad_files(void **state)
{
    static const char *const CAS[] = {"/nonexistent/ca.pem", "/dev/null"};
    char why[256];
    (void)state;
    struct server_trust *kept = trust;
    for (size_t i = 0; i < ARRAY_LEN(CAS); i++) {
        trust = server_trust_new(CAS[i], NULL);
        assert_int_equal(server_trust_check(trust, why, sizeof(why)), -1);
        assert_int_equal(strncmp(why, CAS[i], strlen(CAS[i])), 0);
        check_chain(FOR(&leaf, &between), 2, NULL);
        assert_refused("no authorities");
        server_trust_free(&trust);
        trust = server_trust_new(ca_file, CAS[i]);
        assert_int_equal(server_trust_check(trust, why, sizeof(why)), -1);
        assert_int_equal(strncmp(why, CAS[i], strlen(CAS[i])), 0);
        server_trust_free(&trust);
    }
    trust = kept;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/postern-pki-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", folder);
    snprintf(crl_file, sizeof(crl_file), "%s/crl.pem", folder);
    root = pki_make(&ROOT, NULL);
    between = pki_make(&BETWEEN, &root);
    stranger = pki_make(&STRANGER, NULL);
    leaf = pki_make(&LEAF, &between);
    pki_write(ca_file, FOR(&root), 1);
    trust = server_trust_new(ca_file, NULL);
    policy = (struct s2s_policy){.dane = true};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_trust_free(&trust);
    pki_drop(&root);
    pki_drop(&between);
    pki_drop(&stranger);
    pki_drop(&leaf);
    unlink(ca_file);
    unlink(crl_file);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_uses),
        cmocka_unit_test(test_uses_of_authorities),
        cmocka_unit_test(test_who_may_sign),
        cmocka_unit_test(test_what_a_check_may_cost),
        cmocka_unit_test(test_a_certificate_as_its_own_authority),
        cmocka_unit_test(test_revocation),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_dane_ee),
        cmocka_unit_test(test_dane_ta),
        cmocka_unit_test(test_dane_with_pkix),
        cmocka_unit_test(test_dane_unusable),
        cmocka_unit_test(test_dane_digests),
        cmocka_unit_test(test_dane_and_others),
        cmocka_unit_test(test_how_many_records),
        cmocka_unit_test(test_target),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
