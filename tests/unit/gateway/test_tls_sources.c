#include "gateway/tls_sources.h"

#include "gateway/tls_certs.h"
#include "gateway/tls_folder.h"
#include "lib/log.h"
#include "tests/unit/gateway/tls_pair_of_ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct tls_fixture fixture;
static struct option_file *file;
static struct tls_config config;

/* A section's text read; its files are not. */
static void read_text(const char *text)
{
    char error[512] = "";
    option_file_free(&file);
    if (tls_section(text, &fixture, &file, &config, error, sizeof(error)) != 0) fail_msg("%s", error);
}

static struct tls_sources *open_good(const char *text)
{
    char error[512] = "";
    read_text(text);
    struct tls_sources *sources = tls_sources_open(config.section, error, sizeof(error));
    if (sources == NULL) fail_msg("%s", error);
    return sources;
}

static void make(const char *cert, const char *key, const char *cn, const char *names)
{
    tls_fixture_make(&fixture, cert, key, &(struct tls_recipe){.cn = cn, .names = names});
}

/* The common name of what serves a name, "" for none; name NULL: the default. */
static const char *served(const struct tls_sources *sources, const char *name)
{
    static char cn[64];
    struct tls_certs *certs = tls_sources_certs(sources);
    const struct tls_name *found = name != NULL ? tls_certs_find(certs, name) : tls_certs_default(certs);
    cn[0] = '\0';
    for (size_t i = 0; found != NULL && i < TLS_CERTS_KINDS; i++)
        if (found->pairs[i] != NULL)
            X509_NAME_get_text_by_NID(X509_get_subject_name(found->pairs[i]->leaf), NID_commonName, cn, sizeof(cn));
    tls_certs_unref(&certs);
    return cn;
}

static void test_folders_of_acme_clients(void **state)
{
    (void)state;
    make("d/a.test/fullchain.pem", "d/a.test/privkey.pem", "a", "DNS:a.test");
    make("d/a.test/cert.pem", NULL, "wrong", "DNS:wrong.test"); /* certbot's folder has more files */
    make("d/b.test.crt", "d/b.test.key", "b", "DNS:b.test");
    make("d/issuer.crt", "elsewhere.key", "issuer", "DNS:issuer.test");
    make("d/c.pem", NULL, "c", "DNS:c.test");
    make("d/e.pem", "d/e.pem.key", "e", "DNS:e.test");
    make("d/.hidden.pem", NULL, "hidden", "DNS:hidden.test");
    make("d/f.test/cert.pem", "d/private/f.test/key.pem", "f", "DNS:f.test");
    make("d/x/y/deep.pem", NULL, "deep", "DNS:deep.test");
    FILE *text = tls_fixture_create(&fixture, "d/README.pem");
    assert_true(fputs("nothing\n", text) >= 0 && fclose(text) == 0);
    struct tls_sources *sources = open_good("tls \"x\" { certificate-folder = \"d/\" }");
    assert_string_equal(served(sources, "a.test"), "a");
    assert_string_equal(served(sources, "b.test"), "b");
    assert_string_equal(served(sources, "c.test"), "c");
    assert_string_equal(served(sources, "e.test"), "e");
    assert_string_equal(served(sources, "f.test"), "f");
    assert_string_equal(served(sources, "wrong.test"), "");
    assert_string_equal(served(sources, "issuer.test"), "");
    assert_string_equal(served(sources, "hidden.test"), "");
    assert_string_equal(served(sources, "deep.test"), "");
    assert_string_equal(served(sources, NULL), "a"); /* the first path */
    tls_sources_free(&sources);
}

static void test_who_serves_a_name(void **state)
{
    (void)state;
    make("first.pem", NULL, "first", "DNS:n.test");
    make("second.pem", NULL, "second", "DNS:n.test,DNS:second.test");
    tls_fixture_make(&fixture, "r/late.pem", NULL,
                     &(struct tls_recipe){.cn = "late", .names = "DNS:n.test,DNS:r.test", .until_s = 90000});
    tls_fixture_make(&fixture, "r/early.pem", NULL,
                     &(struct tls_recipe){.cn = "early", .names = "DNS:r.test", .until_s = 80000});
    struct tls_sources *sources =
        open_good("tls \"x\" { certificate = {\"first.pem\", \"second.pem\"} certificate-folder = \"r\" }");
    assert_string_equal(served(sources, "n.test"), "first");
    assert_string_equal(served(sources, "second.test"), "second");
    assert_string_equal(served(sources, "r.test"), "late");
    assert_string_equal(served(sources, NULL), "first");
    tls_sources_free(&sources);
    sources = open_good("tls \"x\" { certificate-folder = \"r\" default-name = \"N.test.\" }");
    assert_string_equal(served(sources, NULL), "late");
    tls_sources_free(&sources);
    sources = open_good("tls \"x\" { certificate-folder = \"r\" }");
    assert_string_equal(served(sources, NULL), "late"); /* who serves the first name of the first path, r/early.pem */
    tls_sources_free(&sources);
}

static void test_common_name_is_no_name(void **state)
{
    (void)state;
    make("nameless.pem", NULL, "cn.test", NULL);
    struct tls_sources *sources = open_good("tls \"x\" { certificate = \"nameless.pem\" }");
    assert_string_equal(served(sources, "cn.test"), "");
    assert_string_equal(served(sources, NULL), "cn.test"); /* it serves as the default, though */
    tls_sources_free(&sources);
}

static void expect_refusal(const char *text, const char *what)
{
    char error[1024] = "";
    option_file_free(&file);
    if (tls_section(text, &fixture, &file, &config, error, sizeof(error)) == 0)
        assert_int_equal(tls_config_load(&config, error, sizeof(error)), -1);
    tls_config_clear(&config);
    if (strstr(error, what) == NULL) fail_msg("\"%s\" lacks \"%s\"", error, what);
    if (strstr(error, "gateway.conf:2: tls \"x\"") == NULL) fail_msg("\"%s\" has no place", error);
}

static void test_refusals(void **state)
{
    (void)state;
    make("good.pem", NULL, "good", "DNS:good.test");
    make("one.pem", "one-of.key", "one", "DNS:one.test");
    make("two.pem", "two-of.key", "two", "DNS:two.test");
    make("open.pem", NULL, "open", "DNS:open.test");
    assert_int_equal(chmod(tls_fixture_path(&fixture, "open.pem"), 0644), 0);
    assert_int_equal(mkdir(tls_fixture_path(&fixture, "empty"), 0700), 0);
    expect_refusal("\ntls \"x\" { }", "certificate: expected a certificate or a certificate-folder");
    expect_refusal("\ntls \"x\" { certificate = \"missing.pem\" }", "missing.pem: No such file");
    expect_refusal("\ntls \"x\" { certificate = \"one.pem\" }", "no private key in it, nor beside it");
    expect_refusal("\ntls \"x\" { certificate = \"one.pem\" key = \"two-of.key\" }",
                   "not the key of the first certificate");
    expect_refusal("\ntls \"x\" { certificate = {\"one.pem\", \"two.pem\"} key = \"one-of.key\" }",
                   "key: expected one key for each of 2 certificates, not 1");
    expect_refusal("\ntls \"x\" { certificate = \"open.pem\" }", "open to others (mode 0644)");
    expect_refusal("\ntls \"x\" { certificate-folder = \"nowhere\" }", "cannot read the folder");
    expect_refusal("\ntls \"x\" { certificate-folder = \"empty\" }", "expected a certificate with its key in it");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" default-name = \"b.test\" }",
                   "default-name: expected a name");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" default-name = \"not a name\" }",
                   "default-name: expected a host");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" ciphers = \"NONSENSE\" }",
                   "ciphers: OpenSSL does not take it");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" ciphersuites = \"NONSENSE\" }", "ciphersuites: OpenSSL");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" curves = \"P-1\" }", "curves: OpenSSL");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" client-certificate = required }",
                   "client-ca: expected a file");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" client-ca = \"good.pem\" }",
                   "client-ca: expected client-certificate");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" client-certificate = optional client-crl = \"good.pem\" }",
                   "client-crl: expected a client-ca");
    expect_refusal(
        "\ntls \"x\" { certificate = \"good.pem\" client-certificate = optional client-ca = \"one-of.key\" }",
        "client-ca: cannot read");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" client-certificate = optional client-ca = \"empty\" }",
                   "client-ca: expected a certificate in it");
    expect_refusal("\ntls \"x\" { certificate = \"good.pem\" client-certificate = optional client-ca = \"good.pem\" "
                   "client-crl = \"good.pem\" }",
                   "client-crl: cannot read");
}

/* Looks until nobody seems to be writing any more, as the master does in time. */
static bool changed(struct tls_sources *sources)
{
    enum tls_sources_state state = tls_sources_look(sources);
    if (state == TLS_SOURCES_SAME) return false;
    assert_int_equal(state, TLS_SOURCES_MOVING);
    assert_int_equal(tls_sources_look(sources), TLS_SOURCES_CHANGED);
    tls_sources_read(sources);
    assert_int_equal(tls_sources_look(sources), TLS_SOURCES_SAME);
    return true;
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(tls_fixture_path(&fixture, from), tls_fixture_path(&fixture, to)), 0);
}

/* As certbot renews: live/NAME has links into archive/NAME, which are turned. */
static void turn_link(const char *target, const char *name)
{
    char *path = tls_fixture_path(&fixture, name);
    (void)!unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static void test_changes(void **state)
{
    (void)state;
    make("archive/fullchain1.pem", "archive/privkey1.pem", "one", "DNS:l.test");
    make("archive/fullchain2.pem", "archive/privkey2.pem", "two", "DNS:l.test");
    assert_int_equal(mkdir(tls_fixture_path(&fixture, "live"), 0700), 0);
    assert_int_equal(mkdir(tls_fixture_path(&fixture, "live/l.test"), 0700), 0);
    turn_link("../../archive/fullchain1.pem", "live/l.test/fullchain.pem");
    turn_link("../../archive/privkey1.pem", "live/l.test/privkey.pem");
    make("listed.pem", NULL, "listed one", "DNS:listed.test");
    struct tls_sources *sources = open_good("tls \"x\" { certificate = \"listed.pem\" certificate-folder = \"live\" }");
    assert_false(changed(sources));
    assert_string_equal(served(sources, "l.test"), "one");

    turn_link("../../archive/fullchain2.pem", "live/l.test/fullchain.pem");
    turn_link("../../archive/privkey2.pem", "live/l.test/privkey.pem");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "l.test"), "two");

    make("new.pem", NULL, "listed two", "DNS:listed.test");
    move("new.pem", "listed.pem");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "listed.test"), "listed two");
    assert_false(changed(sources));

    make("live/m.test/fullchain.pem", "live/m.test/privkey.pem", "m", "DNS:m.test");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "m.test"), "m");

    move("live/m.test", "gone");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "m.test"), "");
    tls_sources_free(&sources);
}

static void test_a_broken_change_keeps_the_old(void **state)
{
    (void)state;
    make("k.pem", "k.key", "old", "DNS:k.test");
    make("k/k.test/fullchain.pem", "k/k.test/privkey.pem", "old", "DNS:folder.test");
    struct tls_sources *sources = open_good("tls \"x\" { certificate = \"k.pem\" certificate-folder = \"k\" }");
    make("k.pem", "other.key", "new", "DNS:k.test"); /* the key does not fit any more */
    make("k/k.test/fullchain.pem", "other.key", "new", "DNS:folder.test");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "k.test"), "old");
    assert_string_equal(served(sources, "folder.test"), "old");
    move("k.pem", "away.pem");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "k.test"), "old");
    make("k.pem", "k.key", "new", "DNS:k.test");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "k.test"), "new");
    tls_sources_free(&sources);
}

/* Somebody clears the folder up, to fill it anew: nobody is served by nothing. */
static void test_an_empty_folder_keeps_the_old(void **state)
{
    (void)state;
    make("e/one.pem", NULL, "old", "DNS:one.test");
    make("e/two.pem", NULL, "old", "DNS:two.test");
    struct tls_sources *sources = open_good("tls \"x\" { certificate-folder = \"e\" }");
    move("e/one.pem", "one-away.pem");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "one.test"), "");
    move("e/two.pem", "two-away.pem");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "two.test"), "old");
    assert_false(changed(sources));
    make("e/one.pem", NULL, "new", "DNS:one.test");
    assert_true(changed(sources));
    assert_string_equal(served(sources, "one.test"), "new");
    assert_string_equal(served(sources, "two.test"), "");
    tls_sources_free(&sources);
}

/* What the log says of files. */
static char *log_of(const char *text)
{
    static char lines[4096];
    char *path = tls_fixture_path(&fixture, "log");
    (void)!unlink(path);
    assert_int_equal(log_setup(&(struct log_config){.path = path}, NULL), 0);
    struct tls_sources *sources = open_good(text);
    assert_int_equal(log_setup(&(struct log_config){.level = LOG_LEVEL_ERROR}, NULL), 0);
    tls_sources_free(&sources);
    FILE *file_of_log = fopen(path, "r");
    assert_non_null(file_of_log);
    lines[fread(lines, 1, sizeof(lines) - 1, file_of_log)] = '\0';
    fclose(file_of_log);
    return lines;
}

static void test_warnings(void **state)
{
    (void)state;
    tls_fixture_make(&fixture, "w/old.pem", NULL,
                     &(struct tls_recipe){.names = "DNS:old.test", .from_s = -7200, .until_s = -60});
    tls_fixture_make(&fixture, "w/soon.pem", NULL,
                     &(struct tls_recipe){.names = "DNS:soon.test", .from_s = 3600, .until_s = 7200});
    make("w/bad.crt", "w/bad.key", "bad", "DNS:bad.test");
    make("w/bad.crt", "other.key", "bad", "DNS:bad.test");
    const char *lines = log_of("tls \"x\" { certificate-folder = \"w\" }");
    assert_non_null(strstr(lines, "event=certificate_expired"));
    assert_non_null(strstr(lines, "event=certificate_early"));
    assert_non_null(strstr(lines, "event=certificate_unusable"));
    assert_non_null(strstr(lines, "w/bad.crt"));
}

static int set_up(void **state)
{
    (void)state;
    tls_fixture_open(&fixture);
    return log_setup(&(struct log_config){.level = LOG_LEVEL_ERROR}, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    option_file_free(&file);
    tls_fixture_drop(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders_of_acme_clients),
        cmocka_unit_test(test_who_serves_a_name),
        cmocka_unit_test(test_common_name_is_no_name),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_a_broken_change_keeps_the_old),
        cmocka_unit_test(test_an_empty_folder_keeps_the_old),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
