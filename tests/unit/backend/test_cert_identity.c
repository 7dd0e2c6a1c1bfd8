#include "backend/cert_identity.h"

#include "backend/jid.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char found[1024];

static void note(const struct jid *jid, void *arg)
{
    assert_ptr_equal(arg, found);
    const size_t used = strlen(found);
    snprintf(found + used, sizeof(found) - used, "%s;", jid->full);
}

static void assert_found(X509 *cert, const char *expected)
{
    found[0] = '\0';
    cert_identity_each(cert, note, found);
    assert_string_equal(found, expected);
    X509_free(cert);
}

/* An otherName of a type, with a string of an ASN.1 type. */
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

static void add_names(X509 *cert, GENERAL_NAME *const *names, size_t count)
{
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    for (size_t i = 0; i < count; i++)
        sk_GENERAL_NAME_push(all, names[i]);
    assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, X509V3_ADD_APPEND), 1);
    GENERAL_NAMES_free(all);
}

#define XMPP_ADDRESS  "1.3.6.1.5.5.7.8.5"
#define ADDRESS(text) other_name(XMPP_ADDRESS, V_ASN1_UTF8STRING, text, sizeof(text) - 1)

static X509 *with_names(GENERAL_NAME *const *names, size_t count)
{
    X509 *cert = X509_new();
    add_names(cert, names, count);
    return cert;
}

#define WITH(...)                                                                                                      \
    with_names((GENERAL_NAME *[]){__VA_ARGS__}, sizeof((GENERAL_NAME *[]){__VA_ARGS__}) / sizeof(GENERAL_NAME *))

static void test_addresses(void **state)
{
    (void)state;
    assert_found(WITH(ADDRESS("Romeo@Example.test")), "romeo@example.test;");
    assert_found(WITH(ADDRESS("romeo@a.test"), ADDRESS("b.test"), ADDRESS("romeo@a.test/x")),
                 "romeo@a.test;b.test;romeo@a.test/x;");
    assert_found(WITH(ADDRESS("b\xc3\xbc\x63her@a.test")), "b\xc3\xbc\x63her@a.test;");
}

static void test_what_is_none(void **state)
{
    (void)state;
    assert_found(X509_new(), "");
    assert_found(WITH(ADDRESS("")), "");
    assert_found(WITH(ADDRESS("@")), "");
    assert_found(WITH(ADDRESS("romeo@a.test\0.evil.test")), "");
    assert_found(WITH(ADDRESS("romeo@a.test\0")), "");
    assert_found(WITH(ADDRESS("\xff@a.test"), ADDRESS("juliet@a.test")), "juliet@a.test;");
    assert_found(WITH(other_name(XMPP_ADDRESS, V_ASN1_IA5STRING, "romeo@a.test", 12)), "");
    assert_found(WITH(other_name("1.3.6.1.5.5.7.8.7", V_ASN1_UTF8STRING, "romeo@a.test", 12)), "");
    assert_found(WITH(a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_EMAIL, "romeo@a.test", 0),
                      a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, "a.test", 0)),
                 "");
}

/* Which of the two counts would depend on who looks. */
static void test_two_extensions(void **state)
{
    (void)state;
    X509 *cert = WITH(ADDRESS("romeo@a.test"));
    GENERAL_NAME *more = ADDRESS("juliet@a.test");
    add_names(cert, &more, 1);
    assert_found(cert, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_two_extensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
