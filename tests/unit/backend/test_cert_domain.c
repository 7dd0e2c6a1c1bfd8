/* Which certificates have an identifier for a domain: the rules, and the tricks. */
#include "backend/cert_domain.h"

#include "tests/unit/pki_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SRV  "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:"
#define XMPP "otherName:1.3.6.1.5.5.7.8.5;UTF8:"

struct row {
    const char *alt, *domain;
    bool has;
};

static X509 *with(const char *alt)
{
    X509 *cert = X509_new();
    pki_extend(cert, cert, NID_subject_alt_name, alt);
    return cert;
}

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        X509 *cert = with(rows[i].alt);
        if (cert_domain_has(cert, rows[i].domain) != rows[i].has)
            fail_msg("%s for %s: not %d", rows[i].alt, rows[i].domain, rows[i].has);
        X509_free(cert);
    }
}

/* Conforms: RFC 6120, 13.7.1.2: DNS-ID */
static void test_dns(void **state)
{
    static const struct row ROWS[] = {
        {"DNS:a.test", "a.test", true},
        {"DNS:A.Test", "a.test", true},
        {"DNS:a.test.", "a.test", true},
        {"DNS:b.test,DNS:a.test", "a.test", true},
        {"DNS:b.test", "a.test", false},
        {"DNS:test", "a.test", false},
        {"DNS:x.a.test", "a.test", false},
        {"DNS:a.test", "x.a.test", false},
        {"DNS:a.test.x", "a.test", false},
        {"DNS:aatest", "a.test", false},
        {"DNS:.a.test", "a.test", false},
        {"DNS:xn--bcher-kva.test", "b\xc3\xbc\x63her.test", true},
        {"DNS:XN--BCHER-KVA.test", "b\xc3\xbc\x63her.test", true},
        {"DNS:xn--bcher-kva.test", "bucher.test", false},
        {"DNS:localhost", "localhost", true},
        {"email:a.test@a.test", "a.test", false},
        {"URI:xmpp:a.test", "a.test", false},
        {"RID:1.2.3.4", "a.test", false},
    };
    (void)state;
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

/* Conforms: RFC 6120, 13.7.1.2: a wildcard is the whole first label */
static void test_wildcards(void **state)
{
    static const struct row ROWS[] = {
        {"DNS:*.a.test", "x.a.test", true},
        {"DNS:*.A.TEST.", "x.a.test", true},
        {"DNS:*.a.test", "a.test", false},
        {"DNS:*.a.test", "y.x.a.test", false},
        {"DNS:*.a.test", "xa.test", false},
        {"DNS:*", "a.test", false},
        {"DNS:*", "test", false},
        {"DNS:*.", "test", false},
        {"DNS:*.test", "a.test", false},
        {"DNS:*.*.test", "x.a.test", false},
        {"DNS:x.*.test", "x.a.test", false},
        {"DNS:x*.a.test", "xy.a.test", false},
        {"DNS:*x.a.test", "yx.a.test", false},
        {"DNS:**.a.test", "x.a.test", false},
        {"DNS:*a.test", "aa.test", false},
        {"DNS:xn--*.a.test", "xn--bcher-kva.a.test", false},
        {"DNS:*.a.test", "b\xc3\xbc\x63her.a.test", true},
        {"DNS:*.0.2.1", "192.0.2.1", false},
    };
    (void)state;
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

/* Conforms: RFC 6120, 13.7.1.2: SRV-ID of the services between servers */
static void test_services(void **state)
{
    static const struct row ROWS[] = {
        {SRV "_xmpp-server.a.test", "a.test", true},
        {SRV "_XMPP-Server.A.test", "a.test", true},
        {SRV "_xmpps-server.a.test", "a.test", true},
        {SRV "_xmpp-server.*.a.test", "x.a.test", true},
        {SRV "_xmpp-client.a.test", "a.test", false},
        {SRV "_xmpp.a.test", "a.test", false},
        {SRV "_imap.a.test", "a.test", false},
        {SRV "_xmpp-server.b.test", "a.test", false},
        {SRV "_xmpp-server.", "a.test", false},
        {SRV "_xmpp-server", "a.test", false},
        {SRV "a.test", "a.test", false},
        {SRV "xmpp-server.a.test", "a.test", false},
        {"otherName:1.3.6.1.5.5.7.8.7;UTF8:_xmpp-server.a.test", "a.test", false},
        {"otherName:1.3.6.1.5.5.7.8.9;IA5STRING:_xmpp-server.a.test", "a.test", false},
        {"DNS:_xmpp-server.a.test", "a.test", false},
    };
    (void)state;
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

static void test_addresses_of_xmpp(void **state)
{
    static const struct row ROWS[] = {
        {XMPP "a.test", "a.test", true},
        {XMPP "A.Test", "a.test", true},
        {XMPP "xn--bcher-kva.test", "b\xc3\xbc\x63her.test", true},
        {XMPP "romeo@a.test", "a.test", false},
        {XMPP "a.test/server", "a.test", false},
        {XMPP "*.a.test", "x.a.test", false},
        {XMPP "b.test", "a.test", false},
        {"otherName:1.3.6.1.5.5.7.8.5;IA5STRING:a.test", "a.test", false},
    };
    (void)state;
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

static void test_addresses_of_ip(void **state)
{
    static const struct row ROWS[] = {
        {"IP:192.0.2.1", "192.0.2.1", true},
        {"IP:2001:db8::1", "[2001:db8::1]", true},
        {"IP:192.0.2.2", "192.0.2.1", false},
        {"IP:2001:db8::2", "[2001:db8::1]", false},
        {"IP:192.0.2.1", "a.test", false},
        {"DNS:192.0.2.1", "192.0.2.1", false},
        {SRV "_xmpp-server.192.0.2.1", "192.0.2.1", false},
        {"IP:0.0.0.0", "a.test", false},
    };
    (void)state;
    assert_rows(ROWS, ARRAY_LEN(ROWS));
}

/* The common name is for people. */
static void test_common_name(void **state)
{
    static const struct pki_spec BARE = {.name = "a.test"}, OTHER = {.name = "a.test", .alt = "DNS:b.test"};
    (void)state;
    struct pki_cert bare = pki_make(&BARE, NULL), other = pki_make(&OTHER, NULL);
    assert_false(cert_domain_has(bare.cert, "a.test"));
    assert_false(cert_domain_has_target(bare.cert, "a.test"));
    assert_false(cert_domain_has(other.cert, "a.test"));
    assert_true(cert_domain_has(other.cert, "b.test"));
    pki_drop(&bare);
    pki_drop(&other);
}

static void add_raw(X509 *cert, GENERAL_NAME *name)
{
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    sk_GENERAL_NAME_push(all, name);
    assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, X509V3_ADD_APPEND), 1);
    GENERAL_NAMES_free(all);
}

static GENERAL_NAME *dns_name(const char *text, size_t len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *string = ASN1_IA5STRING_new();
    assert_int_equal(ASN1_STRING_set(string, text, (int)len), 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, string);
    return name;
}

static GENERAL_NAME *other_name(const char *oid, int asn1_type, const char *text, size_t len)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string = ASN1_STRING_type_new(asn1_type);
    ASN1_TYPE *value = ASN1_TYPE_new();
    assert_int_equal(ASN1_STRING_set(string, text, (int)len), 1);
    ASN1_TYPE_set(value, asn1_type, string);
    assert_int_equal(GENERAL_NAME_set0_othername(name, OBJ_txt2obj(oid, 1), value), 1);
    return name;
}

/* For programs that end a text at the first byte 0 these are names of a.test. */
static void test_bytes_that_are_none(void **state)
{
#define DNS(text) dns_name(text, sizeof(text) - 1)
    GENERAL_NAME *const names[] = {
        DNS("a.test\0.evil.test"),
        DNS("a.test\0"),
        DNS("\0a.test"),
        DNS(""),
        DNS("."),
        DNS("a.test\xc3\xbc"),
        DNS("a.test "),
        DNS(" a.test"),
        DNS("a.test/"),
        other_name("1.3.6.1.5.5.7.8.7", V_ASN1_IA5STRING, "_xmpp-server.a.test\0.evil.test", 30),
        other_name("1.3.6.1.5.5.7.8.7", V_ASN1_IA5STRING, "_xmpp-server\0.a.test", 20),
        other_name("1.3.6.1.5.5.7.8.5", V_ASN1_UTF8STRING, "a.test\0.evil.test", 17),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        X509 *cert = X509_new();
        add_raw(cert, names[i]);
        if (cert_domain_has(cert, "a.test") || cert_domain_has_target(cert, "a.test")) fail_msg("name %zu", i);
        X509_free(cert);
    }
}

/* The bytes themselves may be in a name, but not as a name of ours. */
static void test_u_labels_are_no_dns_names(void **state)
{
    (void)state;
    X509 *cert = X509_new();
    add_raw(cert, DNS("b\xc3\xbc\x63her.test"));
    assert_false(cert_domain_has(cert, "b\xc3\xbc\x63her.test"));
    X509_free(cert);
    cert = X509_new();
    add_raw(cert, other_name("1.3.6.1.5.5.7.8.5", V_ASN1_UTF8STRING, "b\xc3\xbc\x63her.test", 12));
    assert_true(cert_domain_has(cert, "b\xc3\xbc\x63her.test"));
    X509_free(cert);
}

/* Which of two extensions counts would depend on who looks. */
static void test_two_extensions(void **state)
{
    (void)state;
    X509 *cert = with("DNS:a.test");
    add_raw(cert, DNS("b.test"));
    assert_false(cert_domain_has(cert, "a.test"));
    assert_false(cert_domain_has(cert, "b.test"));
    X509_free(cert);
}

static void test_not_der(void **state)
{
    (void)state;
    X509 *cert = X509_new();
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(data, (const unsigned char *)"\x30\x80 a.test", 9), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, data);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    assert_false(cert_domain_has(cert, "a.test"));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(data);
    X509_free(cert);
}

static void test_how_many_names(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const int count = i == 0 ? 500 : 5000;
        GENERAL_NAMES *all = GENERAL_NAMES_new();
        for (int k = 0; k < count; k++)
            sk_GENERAL_NAME_push(all, DNS("xxxx.test"));
        sk_GENERAL_NAME_push(all, DNS("a.test"));
        X509 *cert = X509_new();
        assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, X509V3_ADD_APPEND), 1);
        assert_int_equal(cert_domain_has(cert, "a.test"), i == 0);
        GENERAL_NAMES_free(all);
        X509_free(cert);
    }
}

/* A host that DNS leads to is looked for as a DNS-ID, by RFC 7673. */
static void test_target(void **state)
{
    static const struct row ROWS[] = {
        {"DNS:mx.a.test", "mx.a.test", true},
        {"DNS:mx.a.test", "MX.a.test.", true},
        {"DNS:*.a.test", "mx.a.test", true},
        {SRV "_xmpp-server.mx.a.test", "mx.a.test", false},
        {XMPP "mx.a.test", "mx.a.test", false},
        {"IP:192.0.2.1", "192.0.2.1", true},
        {"DNS:192.0.2.1", "192.0.2.1", false},
        {"DNS:a.test", "mx.a.test", false},
        {"DNS:a.test", "", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        X509 *cert = with(ROWS[i].alt);
        if (cert_domain_has_target(cert, ROWS[i].domain) != ROWS[i].has) fail_msg("row %zu", i);
        X509_free(cert);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dns),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_addresses_of_xmpp),
        cmocka_unit_test(test_addresses_of_ip),
        cmocka_unit_test(test_common_name),
        cmocka_unit_test(test_bytes_that_are_none),
        cmocka_unit_test(test_u_labels_are_no_dns_names),
        cmocka_unit_test(test_two_extensions),
        cmocka_unit_test(test_not_der),
        cmocka_unit_test(test_how_many_names),
        cmocka_unit_test(test_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
