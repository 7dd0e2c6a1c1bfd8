#include "gateway/tls_bundle.h"

#include "gateway/tls_certs.h"
#include "tests/unit/gateway/tls_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct tls_fixture fixture;

static struct tls_pair *read_pair(const char *name)
{
    char why[512] = "";
    struct tls_pair *pair = tls_pair_read(tls_fixture_path(&fixture, name), NULL, why, sizeof(why));
    if (pair == NULL) fail_msg("%s", why);
    return pair;
}

static struct tls_certs *certs_of(const char *one, const char *two, const char *default_name)
{
    struct tls_certs *certs = tls_certs_new();
    struct tls_pair *pairs[] = {read_pair(one), read_pair(two)};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        tls_certs_add(certs, pairs[i]);
    tls_certs_set_default(certs, default_name, pairs[1]);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        tls_pair_unref(&pairs[i]);
    return certs;
}

static struct tls_certs *through(const struct tls_certs *certs, const struct tls_certs *have)
{
    const char *why = NULL;
    int fd = tls_bundle_write(certs);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct tls_certs *out = tls_bundle_read(fd, have, &why);
    if (out == NULL) fail_msg("%s", why);
    close(fd);
    return out;
}

static void same_pair(const struct tls_pair *a, const struct tls_pair *b)
{
    assert_memory_equal(a->id, b->id, sizeof(a->id));
    assert_string_equal(a->file, b->file);
    assert_int_equal(X509_cmp(a->leaf, b->leaf), 0);
    assert_int_equal(EVP_PKEY_eq(a->key, b->key), 1);
    assert_int_equal(sk_X509_num(a->chain), sk_X509_num(b->chain));
    for (int i = 0; i < sk_X509_num(a->chain); i++)
        assert_int_equal(X509_cmp(sk_X509_value(a->chain, i), sk_X509_value(b->chain, i)), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct tls_certs *certs = certs_of("a.pem", "b.pem", NULL), *out = through(certs, NULL);
    assert_int_equal(tls_certs_count(out), 2);
    for (size_t i = 0; i < 2; i++) {
        same_pair(tls_certs_at(certs, i), tls_certs_at(out, i));
        assert_ptr_not_equal(tls_certs_at(certs, i), tls_certs_at(out, i));
    }
    assert_int_equal(sk_X509_num(tls_certs_at(out, 0)->chain), 1);
    assert_ptr_equal(tls_certs_default(out), tls_certs_find(out, "b.test"));
    assert_ptr_equal(tls_certs_find(out, "a.test")->pairs[0], tls_certs_at(out, 0));
    tls_certs_unref(&out);
    tls_certs_unref(&certs);
    certs = certs_of("a.pem", "b.pem", "a.test");
    out = through(certs, NULL);
    assert_ptr_equal(tls_certs_default(out), tls_certs_find(out, "a.test"));
    tls_certs_unref(&out);
    tls_certs_unref(&certs);
}

static void test_what_is_there_is_shared(void **state)
{
    (void)state;
    struct tls_certs *certs = certs_of("a.pem", "b.pem", NULL), *have = certs_of("a.pem", "c.pem", NULL);
    struct tls_certs *out = through(certs, have);
    assert_ptr_equal(tls_certs_at(out, 0), tls_certs_at(have, 0));
    assert_ptr_not_equal(tls_certs_at(out, 1), tls_certs_at(have, 1));
    tls_certs_unref(&have);
    same_pair(tls_certs_at(certs, 0), tls_certs_at(out, 0)); /* it outlives the old set */
    tls_certs_unref(&out);
    tls_certs_unref(&certs);
}

/* A copy of a bundle that is cut or has one byte changed; it can be refused, never crash. */
static void test_malformed(void **state)
{
    uint8_t whole[8192];
    const char *why = NULL;
    (void)state;
    struct tls_certs *certs = certs_of("a.pem", "b.pem", NULL);
    int fd = tls_bundle_write(certs);
    ssize_t len = pread(fd, whole, sizeof(whole), 0);
    assert_true(len > 0 && (size_t)len < sizeof(whole));
    close(fd);
    for (ssize_t cut = 0; cut < len; cut += 7) {
        fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(write(fd, whole, (size_t)cut), cut);
        assert_null(tls_bundle_read(fd, NULL, &why)); /* not sealed */
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
        assert_null(tls_bundle_read(fd, NULL, &why));
        assert_non_null(why);
        close(fd);
    }
    for (ssize_t at = 0; at < len; at += 5) {
        fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        whole[at] ^= 0x81;
        assert_int_equal(write(fd, whole, (size_t)len), len);
        whole[at] ^= 0x81;
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
        struct tls_certs *out = tls_bundle_read(fd, certs, &why);
        tls_certs_unref(&out);
        close(fd);
    }
    tls_certs_unref(&certs);
}

static void test_list(void **state)
{
    (void)state;
    struct tls_certs *certs = certs_of("a.pem", "b.pem", NULL);
    json_t *list = tls_certs_list(certs);
    const json_t *item = json_array_get(list, 0);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(item, "file")), tls_fixture_path(&fixture, "a.pem"));
    const json_t *names = json_object_get(item, "names");
    assert_int_equal(json_array_size(names), 2);
    assert_string_equal(json_string_value(json_array_get(names, 1)), "*.a.test");
    assert_string_equal(json_string_value(json_object_get(item, "issuer")), "CN=ca");
    assert_string_equal(json_string_value(json_object_get(item, "key")), "ecdsa");
    assert_string_equal(json_string_value(json_object_get(item, "serial")), "1234");
    json_int_t until = json_integer_value(json_object_get(item, "not_after"));
    assert_true(until > (json_int_t)time(NULL) + 86000 && until <= (json_int_t)time(NULL) + 86400);
    assert_in_range(json_integer_value(json_object_get(item, "days_left")), 0, 1);
    json_decref(list);
    tls_certs_unref(&certs);
}

static int set_up(void **state)
{
    (void)state;
    tls_fixture_open(&fixture);
    EVP_PKEY *key = tls_fixture_key("EC");
    X509 *ca = tls_fixture_cert(&(struct tls_recipe){.cn = "ca"}, key);
    tls_fixture_make(
        &fixture, "a.pem", NULL,
        &(struct tls_recipe){.names = "DNS:a.test,DNS:*.a.test", .issuer = ca, .issuer_key = key, .serial = 0x1234});
    tls_fixture_make(&fixture, "b.pem", NULL, &(struct tls_recipe){.names = "DNS:b.test"});
    tls_fixture_make(&fixture, "c.pem", NULL, &(struct tls_recipe){.names = "DNS:c.test", .kind = "ED25519"});
    X509_free(ca);
    EVP_PKEY_free(key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_fixture_drop(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_what_is_there_is_shared),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
