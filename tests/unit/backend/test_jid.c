#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/jid.h"

#include <stdio.h>
#include <string.h>

static struct jid *parse(const char *text, const char **why)
{
    return jid_parse(text, strlen(text), why);
}

static void expect(const char *text, const char *local, const char *domain, const char *resource)
{
    const char *why = NULL;
    struct jid *jid = parse(text, &why);
    if (!jid) {
        fail_msg("%s: %s", text, why);
        return;
    }
    char full[2 * JID_MAX_BYTES], bare[JID_MAX_BYTES + 1];
    (void)snprintf(bare, sizeof(bare), "%s%s%s", local ? local : "", local ? "@" : "", domain);
    (void)snprintf(full, sizeof(full), "%s%s%s", bare, resource ? "/" : "", resource ? resource : "");
    assert_string_equal(jid->full, full);
    assert_string_equal(jid->bare, bare);
    assert_string_equal(jid->domain, domain);
    assert_int_equal(!jid->local, !local);
    assert_int_equal(!jid->resource, !resource);
    if (local) assert_string_equal(jid->local, local);
    if (resource) assert_string_equal(jid->resource, resource);

    struct jid *copy = jid_dup(jid), *again = parse(jid->full, NULL);
    assert_true(jid_equal(jid, copy));
    assert_true(jid_equal(jid, again));
    jid_free(&jid);
    jid_free(&copy);
    jid_free(&again);
    assert_null(jid);
    jid_free(&jid);
}

static void refused(const char *text, size_t len)
{
    const char *why = NULL;
    struct jid *jid = jid_parse(text, len, &why);
    if (jid) fail_msg("accepted: %s", jid->full);
    assert_non_null(why);
    assert_null(jid_parse(text, len, NULL));
}

/* Conforms: RFC 7622, 3.1: the valid and invalid examples of the specification */
/* Conforms: RFC 7622, 3.2: a domain is required, the rest is not */
/* Conforms: RFC 7622, 3.3: what stands before the first @ */
/* Conforms: RFC 7622, 3.4: what stands behind the first / */
static void the_examples_of_rfc_7622(void **state)
{
    (void)state;
    expect("juliet@example.com", "juliet", "example.com", NULL);
    expect("juliet@example.com/foo", "juliet", "example.com", "foo");
    expect("juliet@example.com/foo bar", "juliet", "example.com", "foo bar");
    expect("juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar");
    expect("foo\\20bar@example.com", "foo\\20bar", "example.com", NULL);
    expect("fussball@example.com", "fussball", "example.com", NULL);
    expect("\xCF\x80@example.com", "\xCF\x80", "example.com", NULL);
    expect("\xCE\xA3@example.com/foo", "\xCF\x83", "example.com", "foo");
    expect("king@example.com/\xE2\x99\x9A", "king", "example.com", "\xE2\x99\x9A");
    expect("example.com", NULL, "example.com", NULL);
    expect("example.com/foobar", NULL, "example.com", "foobar");
    expect("a.example.com/b@example.net", NULL, "a.example.com", "b@example.net");
    static const char *const bad[] = {"\"juliet\"@example.com",
                                      "foo bar@example.com",
                                      "juliet@example.com/",
                                      "@example.com/",
                                      "@example.com",
                                      "henry\xE2\x85\xA3@",
                                      "juliet@",
                                      "/foobar",
                                      ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused(bad[i], strlen(bad[i]));
    }
}

/* Conforms: RFC 7622, 3.2.1: a domain is folded, its labels brought to one form, a final dot taken away */
/* Conforms: RFC 7622, 3.2.3: domains that prepare to the same are the same */
/* Conforms: RFC 7622, 3.3.1: a local part is folded and normalized */
/* Conforms: RFC 7622, 3.3.3: local parts that prepare to the same are the same */
/* Conforms: RFC 7622, 3.4.1: a resource is normalized, and keeps its case */
/* Conforms: RFC 7622, 3.4.3: resources that prepare to the same are the same */
static void parts_are_prepared(void **state)
{
    (void)state;
    expect("JULIET@Example.COM/Balcony", "juliet", "example.com", "Balcony");
    expect("example.com.", NULL, "example.com", NULL);
    expect("a@example.com./b/c", "a", "example.com", "b/c");
    expect("\xC3\x84@B\xC3\x9C"
           "CHER.example",
           "\xC3\xA4",
           "b\xC3\xBC"
           "cher.example",
           NULL);
    expect("a@xn--bcher-kva.example", "a",
           "b\xC3\xBC"
           "cher.example",
           NULL);
    expect("a@XN--BCHER-KVA.Example.", "a",
           "b\xC3\xBC"
           "cher.example",
           NULL);
    expect("a@b\xC3\xBC"
           "cher\xE3\x80\x82"
           "example\xE3\x80\x82",
           "a",
           "b\xC3\xBC"
           "cher.example",
           NULL);
    expect("a@\xEF\xBD\x85xample.com", "a", "example.com", NULL);             /* full-width e */
    expect("\xEF\xBC\xA1@example.com/\xEF\xBC\xA1", "a", "example.com", "A"); /* full-width A */
    expect("so\xC2\xAD"
           "ft@example.com",
           "soft", "example.com", NULL);                                              /* soft hyphen */
    expect("a@example.com/\xF0\x9F\x98\x80", "a", "example.com", "\xF0\x9F\x98\x80"); /* after Unicode 3.2 */
    expect("a@[::1]/r", "a", "[::1]", "r");
    expect("[2001:DB8:0:0::1]", NULL, "[2001:db8::1]", NULL);
    expect("192.0.2.1", NULL, "192.0.2.1", NULL);
    expect("a@r3---sn-x.example", "a", "r3---sn-x.example", NULL);
    expect("a@localhost", "a", "localhost", NULL);
    expect("a@zxpmrxjhzqlcbfxe2wxu4tmgdgvvbjhpemfs3f7rkwhqrkaxq5ubkgid.onion", "a",
           "zxpmrxjhzqlcbfxe2wxu4tmgdgvvbjhpemfs3f7rkwhqrkaxq5ubkgid.onion", NULL);
}

/* Conforms: RFC 7622, 3.2.2: what no domain may contain */
/* Conforms: RFC 7622, 3.3.2: what no local part may contain */
/* Conforms: RFC 7622, 3.4.2: what no resource may contain */
static void hostile_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a@b@c",
        "a@/r",
        "a b@c",
        "a&b@c",
        "a:b@c",
        "a<@c",
        "a'@c",
        "a\x7F@c",
        "a@c/\x01",
        "a@c/\x7F",
        "a@c d",
        "a@c_d",
        "a@-c",
        "a@c-",
        "a@.c",
        "a@c..d",
        "a@c..",
        "a@.",
        "a@[::1",
        "a@[::1]x",
        "a@[]",
        "a@[127.0.0.1]",
        "a@[fe80::1%lo]",
        "a@[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
        "a@xn--",
        "a@xn--a",
        "a@xn--\xC3\xBC",
        "a@xn--99999999999",
        "a\xEF\xBC\xA0x@c",     /* full-width @ */
        "a\xEF\xBC\x8Fx@c",     /* full-width / */
        "a@b\xEF\xBC\x8Fx",     /* the same in a domain */
        "a\xC2\xA0x@c",         /* no-break space */
        "a@c/\xC2\xA0\xC2\x85", /* a C1 control */
        "a@c/\xEE\x80\x80",     /* private use */
        "a@c/\xE2\x80\x8E",     /* a direction mark */
        "\xD7\x90x@c",          /* letters of both directions */
        "\xC2\xAD@c",           /* nothing is left of it */
        "a@\xC2\xAD",           /* nor of this */
        "\xFF@c",
        "\xC0\xAF@c",
        "\xED\xA0\x80@c",
        "a@\xC3",
        "a@c/\xE2\x82",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused(bad[i], strlen(bad[i]));
    }
    refused("a\0b@c", 5);
    refused("a@c\0", 4);
    refused("a@c/r\0", 6);
    refused("\xC3\xA4\0@c", 5);
    refused("a@\xC3\xA4\0", 5);
    refused("a@c/\xC3\xA4\0", 7);
    refused(NULL, 0);
    struct jid *jid = jid_parse("a@example.comx", 13, NULL); /* no further than len */
    assert_string_equal(jid->full, "a@example.com");
    jid_free(&jid);
}

/* Local parts and resources are compared by RFC 6122, which folds more: docs/backend.md says why. */
static void where_rfc_6122_is_kept(void **state)
{
    (void)state;
    expect("fu\u00DFball@example.com", "fussball", "example.com", NULL);
    expect("\u03C2@example.com/foo", "\u03C3", "example.com", "foo");
    expect("henry\u2163@example.com", "henryiv", "example.com", NULL);
    expect("\u265A@example.com", "\u265A", "example.com", NULL);
    expect("juliet@example.com/ foo", "juliet", "example.com", " foo");
    expect("juliet@example.com/\u2163", "juliet", "example.com", "IV");
    expect("juliet@example.com/a\u3000b", "juliet", "example.com", "a b");
    assert_false(jid_local_is_acceptable("\u265A", NULL));
    assert_false(jid_local_is_acceptable("henry\u2163", NULL));
}

/* Conforms: RFC 7622, 3.2.1: A-labels become U-labels, what stands otherwise in them is refused */
/* Conforms: RFC 7622, 3.2.2: case and width of domains are mapped; what IDNA2008 maps to nothing else stays */
static void international_domains(void **state)
{
    (void)state;
    static const struct {
        const char *text, *domain;
    } GOOD[] = {
        {"fu\u00DFball.example", "fu\u00DFball.example"}, /* not "ss": IDNA2008 */
        {"xn--fuball-cta.example", "fu\u00DFball.example"},
        {"\u03A3\u03BF\u03C6\u03CC\u03C2.example", "\u03C3\u03BF\u03C6\u03CC\u03C2.example"}, /* final sigma too */
        {"B\u00DCCHER.EXAMPLE", "b\u00FCcher.example"},
        {"bu\u0308cher.example", "b\u00FCcher.example"}, /* composed */
        {"\uFF45\uFF58\uFF0E\uFF45\uFF58", "ex.ex"},     /* full width, and its dot */
        {"\uFF76\uFF9E.example", "\u30AC.example"},      /* half width */
        {"\u05D0\u05D1.\u05D2", "\u05D0\u05D1.\u05D2"},  /* right to left */
        {"\u0645\u062B\u0627\u0644.\u0627\u062E\u062A\u0628\u0627\u0631",
         "\u0645\u062B\u0627\u0644.\u0627\u062E\u062A\u0628\u0627\u0631"},
        {"\u0646\u0627\u0645\u0647\u200C\u0627\u06CC.example",
         "\u0646\u0627\u0645\u0647\u200C\u0627\u06CC.example"}, /* a non-joiner where it has a meaning */
        {"\u0915\u094D\u200D\u0937.example", "\u0915\u094D\u200D\u0937.example"}, /* a joiner likewise */
        {"paral\u00B7lel.example", "paral\u00B7lel.example"},
        {"\u30C6\u30B9\u30C8\u30FB\u30C6.example", "\u30C6\u30B9\u30C8\u30FB\u30C6.example"},
        {"\u3007.example", "\u3007.example"},
    };
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        expect(GOOD[i].text, NULL, GOOD[i].domain, NULL);
    }
    static const char *const BAD[] = {
        "\u2665.example",              /* a symbol */
        "i\u2764.example",             /* likewise */
        "xn--i-7iq.example",           /* the same, as an A-label */
        "\U0001F600.example",          /* emoji */
        "a\u200Db.example",            /* a joiner where it has no meaning */
        "a\u200Cb.example",            /* a non-joiner likewise */
        "a\u00B7b.example",            /* a middle dot that is not between two l */
        "a\u30FBb.example",            /* a Katakana middle dot without anything Japanese */
        "a\u05F4b.example",            /* gershayim without Hebrew before it */
        "\u0627\u0661\u06F1.example",  /* two kinds of Arabic digits */
        "\u0640\u0627.example",        /* tatweel */
        "a\u20DD.example",             /* a mark for symbols */
        "\u0301a.example",             /* a mark first */
        "\u05D0a.example",             /* both directions in a label */
        "1\u05D0.example",             /* a digit first in one from right to left */
        "\u1100.example",              /* old Hangul */
        "\u0378.example",              /* no character */
        "a\uFFFD.example",             /* one that could not be read */
        "xn--bcher-KVA-.example",      /* no punycode */
        "xn--abc-.example",            /* punycode of what needs none */
        "xn--bcher-kvb\u00FC.example", /* half of each */
        "a\uFF0Fb.example",            /* a full-width slash */
        "\uFF3B::1\uFF3D",             /* full-width brackets */
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        refused(BAD[i], strlen(BAD[i]));
    }
}

/* with_length - the address with one part of n bytes of x, which for a domain is cut into labels. */
static struct jid *with_length(int which, size_t n)
{
    char part[2000];
    memset(part, 'x', n);
    part[n] = '\0';
    for (size_t i = 50; which == 1 && i + 1 < n; i += 51) {
        part[i] = '.';
    }
    return jid_new(which == 0 ? part : "a", which == 1 ? part : "d", which == 2 ? part : "r", NULL);
}

static void lengths_are_exact(void **state)
{
    (void)state;
    static const size_t most[] = {1023, 253, 1023};
    for (int which = 0; which < 3; which++) {
        struct jid *jid = with_length(which, most[which]);
        assert_non_null(jid);
        struct jid *again = jid_parse(jid->full, strlen(jid->full), NULL);
        assert_true(jid_equal(jid, again));
        jid_free(&jid);
        jid_free(&again);
        assert_null(with_length(which, most[which] + 1));
    }
    char label[70];
    memset(label, 'l', sizeof(label));
    assert_null(jid_parse(label, 64, NULL));
    struct jid *jid = jid_parse(label, 63, NULL);
    assert_non_null(jid);
    jid_free(&jid);
    /* U+FDFA grows eighteenfold when it is prepared */
    char grown[1024] = "";
    for (size_t i = 0; i < 1023; i++) {
        grown[i] = "\xEF\xB7\xBA"[i % 3];
    }
    assert_null(jid_new("a", "d", grown, NULL));
}

static void parts_make_addresses(void **state)
{
    (void)state;
    const char *why = NULL;
    struct jid *jid = jid_new("A", "B", "C", &why);
    assert_string_equal(jid->full, "a@b/C");
    struct jid *bare = jid_with_resource(jid, NULL, &why), *other = jid_with_resource(jid, "\xEF\xBC\xA4", NULL);
    assert_string_equal(bare->full, "a@b");
    assert_ptr_equal(bare->full, bare->bare);
    assert_string_equal(other->full, "a@b/D");
    assert_true(jid_bare_equal(jid, other));
    assert_false(jid_equal(jid, other));
    assert_null(jid_with_resource(jid, "", &why));
    assert_non_null(why);
    jid_free(&bare);
    jid_free(&other);
    jid_free(&jid);
    assert_null(jid_new("", "b", NULL, NULL));
    assert_null(jid_new("a", NULL, NULL, NULL));
    assert_null(jid_new("a", "b/c", NULL, NULL));
    assert_null(jid_new("a@b", "c", NULL, NULL));
    char out[JID_PART_MAX_BYTES + 1];
    assert_int_equal(jid_prepare_domain("EXAMPLE.com.", out, NULL), 0);
    assert_string_equal(out, "example.com");
    assert_int_equal(jid_prepare_local("J\xC3\x96RG", out, NULL), 0);
    assert_string_equal(out, "j\xC3\xB6rg");
    assert_int_equal(jid_prepare_local("a b", out, &why), -1);
    assert_int_equal(jid_prepare_domain("", out, &why), -1);
}

static void new_accounts_are_stricter(void **state)
{
    (void)state;
    static const char *const good[] = {"juliet",           "a.b-c_d+e",    "j\xC3\xB6rg",
                                       "\xD9\xA0\xD9\xA1", "\xE5\xB1\xB1", "stra\xC3\x9Fx"};
    static const char *const bad[] = {
        "",
        "a b",
        "a@b",
        "a\x01",
        "\xE2\x99\x9A",             /* a symbol */
        "a\xE2\x80\x8Dx",           /* zero-width joiner */
        "a\xE3\x80\x80x",           /* ideographic space */
        "\xEF\xBD\x81",             /* full-width a */
        "\xCC\x81x",                /* a mark first */
        "\xF0\x9F\x98\x80",         /* emoji */
        "\xE1\x84\x80",             /* old Hangul */
        "\xD9\xA0\xDB\xB0",         /* two kinds of digits */
        "\xD9\x80",                 /* tatweel */
        "a\xE2\x81\xA0x",           /* word joiner */
        "\xEA\x99\x8A",             /* a capital that Unicode 3.2 does not know: another's a small one */
        "\xE1\xAC\x85\xE1\xAC\xB5", /* two Balinese letters that are written as one since */
        "\xFF"};
    const char *why = NULL;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!jid_local_is_acceptable(good[i], &why)) fail_msg("%s: %s", good[i], why);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why = NULL;
        if (jid_local_is_acceptable(bad[i], &why)) fail_msg("accepted: %s", bad[i]);
        assert_non_null(why);
        assert_false(jid_local_is_acceptable(bad[i], NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_7622),      cmocka_unit_test(parts_are_prepared),
        cmocka_unit_test(international_domains),         cmocka_unit_test(where_rfc_6122_is_kept),
        cmocka_unit_test(hostile_addresses_are_refused), cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(parts_make_addresses),          cmocka_unit_test(new_accounts_are_stricter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
