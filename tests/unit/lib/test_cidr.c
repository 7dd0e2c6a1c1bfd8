#include "lib/cidr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

static const struct option_row ROWS[] = {{"", "net", OPTION_STRING_LIST, NULL, 0, 0, NULL, "Networks."}};

static struct addr address(const char *host)
{
    struct addr a = {0};
    if (inet_pton(AF_INET, host, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons(443);
        return a;
    }
    assert_int_equal(inet_pton(AF_INET6, host, &a.in6.sin6_addr), 1);
    a.in6.sin6_family = AF_INET6;
    return a;
}

static struct cidr network(const char *text)
{
    struct cidr out;
    const char *why = NULL;
    if (cidr_parse(text, &out, &why) != 0) fail_msg("%s: %s", text, why);
    return out;
}

static void reads(const char *text, const char *back)
{
    struct cidr one = network(text);
    char out[CIDR_TEXT_BYTES];
    assert_string_equal(cidr_format(&one, out, sizeof(out)), back);
}

static void refuses(const char *text, const char *part)
{
    struct cidr out;
    const char *why = NULL;
    assert_int_equal(cidr_parse(text, &out, &why), -1);
    if (strstr(why, part) == NULL) fail_msg("%s: %s", text, why);
}

static void texts_are_read(void **state)
{
    (void)state;
    reads("192.0.2.0/24", "192.0.2.0/24");
    reads("192.0.2.1", "192.0.2.1");
    reads("192.0.2.1/32", "192.0.2.1");
    reads("0.0.0.0/0", "0.0.0.0/0");
    reads("2001:DB8::/32", "2001:db8::/32");
    reads("::/0", "::/0");
    reads("::1", "::1");
    reads("fe80::/10", "fe80::/10");
    reads("::ffff:192.0.2.0/120", "192.0.2.0/24");
    reads("::ffff:0:0/96", "0.0.0.0/0");
    reads("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
    static const char *const WRONG[] = {
        "",      "192.0.2.0/", "192.0.2.0/33",  "192.0.2/24", "192.0.2.0/-1", "::/129", "x",
        "[::1]", "::1/0x10",   "192.0.2.1:443", "1.2.3.4/ 8", "1.2.3.4/0008", "/8",     "1.2.3.4/8/8"};
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++)
        refuses(WRONG[i], "an address or a network");
    char longest[100];
    memset(longest, '1', sizeof(longest));
    longest[99] = '\0';
    refuses(longest, "an address or a network");
    refuses("192.0.2.1/24", "bits behind the prefix");
    refuses("11.0.0.0/7", "bits behind the prefix");
    refuses("2001:db8::1/64", "bits behind the prefix");
    refuses("128.0.0.0/0", "bits behind the prefix");
}

static void addresses_are_held(void **state)
{
    (void)state;
    static const struct {
        const char *network, *host;
        bool held;
    } CASES[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/23", "192.0.3.1", true},
        {"192.0.2.0/23", "192.0.4.1", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "192.0.2.1", false},
        {"::/0", "2001:db8::1", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"c000::/2", "192.0.2.1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct cidr one = network(CASES[i].network);
        struct addr a = address(CASES[i].host);
        if (cidr_holds(&one, &a) != CASES[i].held) fail_msg("%s %s", CASES[i].network, CASES[i].host);
    }
    const struct addr unknown = {0};
    struct cidr all = network("0.0.0.0/0");
    assert_false(cidr_holds(&all, &unknown));
}

static void widens(const char *text, uint8_t bits, const char *wanted)
{
    struct cidr one = network(text), wide = cidr_widen(&one, bits);
    char out[CIDR_TEXT_BYTES];
    assert_string_equal(cidr_format(&wide, out, sizeof(out)), wanted);
    assert_true(cidr_covers(&wide, &one));
}

static void networks_are_widened(void **state)
{
    (void)state;
    widens("192.0.2.255", 32, "192.0.2.255");
    widens("192.0.2.255", 31, "192.0.2.254/31");
    widens("192.0.2.0/24", 23, "192.0.2.0/23");
    widens("192.0.3.0/24", 23, "192.0.2.0/23");
    widens("192.0.3.0/24", 8, "192.0.0.0/8");
    widens("255.255.255.255", 0, "0.0.0.0/0");
    widens("2001:db8:ffff::/48", 33, "2001:db8:8000::/33");
    widens("::1", 0, "::/0");
}

struct loaded {
    struct option_file *file;
    struct cidr_set set;
    char error[256];
    int result;
};

static struct loaded load(const char *list)
{
    struct loaded l = {0};
    char path[] = "/tmp/test_cidr.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s", list) >= 0);
    close(fd);
    l.file = option_load(path, ROWS, ARRAY_LEN(ROWS), l.error, sizeof(l.error));
    unlink(path);
    assert_non_null(l.file);
    l.result = cidr_set_read(&l.set, option_top(l.file), "net", l.error, sizeof(l.error));
    return l;
}

static void unload(struct loaded *l)
{
    cidr_set_clear(&l->set);
    assert_int_equal(l->set.count, 0);
    option_file_free(&l->file);
}

static void settles(const char *list, const char *wanted)
{
    struct loaded l = load(list);
    char text[512] = "", one[CIDR_TEXT_BYTES];
    assert_int_equal(l.result, 0);
    for (size_t i = 0; i < l.set.count; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, cidr_format(&l.set.items[i], one, sizeof(one)));
    }
    assert_string_equal(text, wanted);
    unload(&l);
}

static void sets_are_settled(void **state)
{
    (void)state;
    settles("", "");
    settles("net = \"::1\"", "::1");
    settles("net = {\"192.0.2.7\", \"192.0.2.0/24\", \"10.0.0.0/8\", \"::/0\"}", "10.0.0.0/8 192.0.2.0/24 ::/0");
    settles("net = {\"192.0.3.0/24\", \"192.0.2.128/25\", \"192.0.2.0/25\"}", "192.0.2.0/23");
    settles("net = {\"0.0.0.0/1\", \"128.0.0.0/1\", \"::/1\"}", "0.0.0.0/0 ::/1");
    settles("net = {\"192.0.2.0/25\", \"192.0.3.0/25\", \"192.0.3.0/24\"}", "192.0.2.0/25 192.0.3.0/24");
    /* Beside each other, but not halves of one. */
    settles("net = {\"192.0.1.0/24\", \"192.0.2.0/24\"}", "192.0.1.0/24 192.0.2.0/24");
    settles("net = {\"192.0.2.1\", \"192.0.2.1\"}", "192.0.2.1");
    struct loaded l = load("\nnet = {\"10.0.0.0/8\",\n \"10.0.0.1/8\"}");
    assert_int_equal(l.result, -1);
    assert_non_null(strstr(l.error, "net: expected a network whose bits"));
    assert_non_null(strstr(l.error, "not \"10.0.0.1/8\""));
    unload(&l);
}

static void sets_cover(void **state)
{
    (void)state;
    struct loaded wide = load("net = {\"10.0.0.0/8\", \"192.0.2.0/25\", \"192.0.2.128/25\", \"2001:db8::/32\"}");
    static const struct {
        const char *list;
        bool covered;
    } CASES[] = {
        {"net = {\"192.0.2.0/24\", \"10.1.0.0/16\"}", true},
        {"net = \"192.0.2.0/23\"", false},
        {"net = {\"2001:db8:1::/48\", \"::1\"}", false},
        {"net = \"2001:db8:1::/48\"", true},
        {"net = \"9.0.0.0/8\"", false},
        {"", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct loaded narrow = load(CASES[i].list);
        assert_int_equal(cidr_set_covers(&wide.set, &narrow.set), CASES[i].covered);
        unload(&narrow);
    }
    unload(&wide);
}

/* The binary search says what looking at each network says. */
static void sets_hold(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"10.0.0.0/8",  "10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/30", "11.0.0.4/31",
                                        "11.0.0.7",    "12.0.0.0/9",  "::1",         "::2/127",     "a00::/8",
                                        "a00:1::/112", "b00::/64",    "ff00::/8"};
    unsigned seed = 4;
    for (int run = 0; run < 300; run++) {
        char list[600] = "net = {\"192.0.2.1\"";
        struct cidr chosen[ARRAY_LEN(TEXTS) + 1] = {network("192.0.2.1")};
        size_t count = 1;
        for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
            if (rand_r(&seed) % 2 == 0) continue;
            snprintf(list + strlen(list), sizeof(list) - strlen(list), ", \"%s\"", TEXTS[i]);
            chosen[count++] = network(TEXTS[i]);
        }
        strcat(list, "}");
        struct loaded l = load(list);
        for (int probe = 0; probe < 50; probe++) {
            struct cidr near = chosen[(size_t)rand_r(&seed) % count];
            near.net[(size_t)rand_r(&seed) % 16] ^= (uint8_t)(1 << rand_r(&seed) % 8);
            char host[CIDR_TEXT_BYTES];
            assert_non_null(inet_ntop(near.family == 4 ? AF_INET : AF_INET6, near.net, host, sizeof(host)));
            struct addr a = address(host);
            bool held = false;
            for (size_t i = 0; i < count; i++)
                held |= cidr_holds(&chosen[i], &a);
            if (cidr_set_holds(&l.set, &a) != held) fail_msg("%s in %s", host, list);
        }
        const struct addr unknown = {0};
        assert_false(cidr_set_holds(&l.set, &unknown));
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read),     cmocka_unit_test(networks_are_widened),
        cmocka_unit_test(addresses_are_held), cmocka_unit_test(sets_are_settled),
        cmocka_unit_test(sets_cover),         cmocka_unit_test(sets_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
