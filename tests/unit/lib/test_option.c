#include "lib/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option_row ROWS[] = {
    {"", "workers", OPTION_INT, "1", 1, 256, NULL, "Workers."},
    {"", "offset", OPTION_INT, "-3", -10, 10, NULL, "May be negative."},
    {"", "free", OPTION_INT, NULL, 0, 0, NULL, "No bounds."},
    {"", "user", OPTION_STRING, NULL, 0, 0, NULL, "User."},
    {"", "timeout", OPTION_DURATION, "5s", 50, 600000, NULL, "A time."},
    {"", "grace", OPTION_DURATION, "30s", 0, 86400000, NULL, "A time that may be 0."},
    {"", "limit", OPTION_SIZE, "16k", 512, 65536, NULL, "A size."},
    {"", "lock-file", OPTION_PATH, "run/lock", 0, 0, NULL, "A path."},
    {"", "sandbox", OPTION_BOOL, "true", 0, 0, NULL, "A switch."},
    {"", "admin", OPTION_ENDPOINT, NULL, 0, 0, NULL, "An address."},
    {"", "log", OPTION_SECTION, NULL, 0, 0, "single", "Logging."},
    {"log", "level", OPTION_ENUM, "info", 0, 0, "debug|info|warn", "A | level."},
    {"log", "file", OPTION_PATH, NULL, 0, 0, NULL, "A file."},
    {"", "route", OPTION_SECTION, NULL, 0, 0, "titled", "Routes."},
    {"route", "sni", OPTION_STRING_LIST, NULL, 0, 0, NULL, "Names."},
    {"route", "listen", OPTION_ENDPOINT_LIST, NULL, 0, 0, NULL, "Addresses."},
    {"route", "refuse", OPTION_ENUM, NULL, 0, 0, "close|reset", "Refuse."},
    {"route", "proxy-protocol", OPTION_ENUM, "none", 0, 0, "none|v1|v2", "PROXY."},
};

static char error[512];

/* Every test runs in a folder of its own. */
static char folder[] = "/tmp/test_option.XXXXXX";

static void write_file(const char *name, const char *text, size_t len)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static struct option_file *load_text(const char *text)
{
    write_file("t.conf", text, strlen(text));
    strcpy(error, "");
    return option_load("t.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error);
}

static struct option_file *load_good(const char *text)
{
    struct option_file *file = load_text(text);
    if (file == NULL) fail_msg("refused: %s", error);
    return file;
}

static void assert_refused(const char *text, const char *expected)
{
    struct option_file *file = load_text(text);
    if (file) {
        option_file_free(&file);
        fail_msg("accepted, but expected: %s", expected);
    }
    assert_string_equal(error, expected);
}

static void presets_hold_in_an_empty_file(void **state)
{
    (void)state;
    struct option_file *file = load_good("");
    const struct option_section *top = option_top(file), *log = option_single(file, "log");
    assert_string_equal(option_path(file), "t.conf");
    assert_int_equal(option_int(top, "workers"), 1);
    assert_int_equal(option_int(top, "offset"), -3);
    assert_int_equal(option_int(top, "free"), 0);
    assert_int_equal(option_int(top, "timeout"), 5000);
    assert_int_equal(option_int(top, "limit"), 16384);
    assert_true(option_bool(top, "sandbox"));
    assert_null(option_str(top, "user"));
    assert_null(option_endpoint(top, "admin", 0));
    assert_string_equal(option_str(top, "lock-file"), "run/lock");
    assert_false(option_is_set(top, "workers"));
    assert_int_equal(option_enum(log, "level"), 1);
    assert_string_equal(option_str(log, "level"), "info");
    assert_int_equal(option_line(log), 0);
    assert_null(option_next(file, "route", NULL));
    assert_null(option_find(file, "route", "x"));
    option_file_free(&file);
    assert_null(file);
    option_file_free(&file);
}

static void values_of_every_type(void **state)
{
    (void)state;
    struct option_file *file = load_good("workers = 256 # a comment\n"
                                         "// another\n"
                                         "/* and a\n long one */ offset = -10\n"
                                         "user = 'a \"b\" \\n'\n"
                                         "timeout = 10m\ngrace = 0s limit = \"512\"\n"
                                         "lock-file = /run/lock\n"
                                         "sandbox = Off\n"
                                         "admin = \"*:443\"\n"
                                         "free = 9223372036854775807\n"
                                         "log { level = warn file = x.log }\n");
    const struct option_section *top = option_top(file), *log = option_single(file, "log");
    assert_int_equal(option_int(top, "workers"), 256);
    assert_int_equal(option_int(top, "offset"), -10);
    assert_int_equal(option_int(top, "free"), INT64_MAX);
    assert_string_equal(option_str(top, "user"), "a \"b\" \\n");
    assert_int_equal(option_int(top, "timeout"), 600000);
    assert_int_equal(option_int(top, "grace"), 0);
    assert_int_equal(option_int(top, "limit"), 512);
    assert_string_equal(option_str(top, "lock-file"), "/run/lock");
    assert_false(option_bool(top, "sandbox"));
    assert_int_equal(option_count(top, "admin"), 1);
    assert_int_equal(addr_port(&option_endpoint(top, "admin", 0)->ip), 443);
    assert_int_equal(option_enum(log, "level"), 2);
    assert_string_equal(option_str(log, "file"), "x.log");
    option_file_free(&file);
}

static void units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t grace, limit;
    } cases[] = {
        {"grace = 500ms limit = 64k", 500, 65536},
        {"grace = 7m limit = 1K", 420000, 1024},
        {"grace = 1h limit = 512", 3600000, 512},
        {"grace = 1d limit = 513", 86400000, 513},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct option_file *file = load_good(cases[i].text);
        assert_int_equal(option_int(option_top(file), "grace"), cases[i].grace);
        assert_int_equal(option_int(option_top(file), "limit"), cases[i].limit);
        option_file_free(&file);
    }
}

static void booleans(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "on", "TRUE"}, *const no[] = {"false", "no", "off", "\"No\""};
    for (size_t i = 0; i < 8; i++) {
        char text[64];
        snprintf(text, sizeof text, "sandbox = %s", i < 4 ? yes[i] : no[i - 4]);
        struct option_file *file = load_good(text);
        assert_int_equal(option_bool(option_top(file), "sandbox"), i < 4);
        option_file_free(&file);
    }
}

static void sections_keep_the_order_of_the_file(void **state)
{
    (void)state;
    struct option_file *file = load_good("route b { sni = one }\n"
                                         "log { }\n"
                                         "route \"a c\"\n{\n"
                                         "  sni = { \"*.x\", two, # why\n 'three', }\n"
                                         "  listen = {\"[::1]:1\", \"unix:/x\"}\n"
                                         "  proxy-protocol = v2\n}\n");
    const struct option_section *b = option_next(file, "route", NULL), *a = option_next(file, "route", b);
    assert_null(option_next(file, "route", a));
    assert_string_equal(option_title(b), "b");
    assert_string_equal(option_title(a), "a c");
    assert_ptr_equal(option_find(file, "route", "a c"), a);
    assert_null(option_find(file, "route", "c"));
    assert_null(option_title(option_single(file, "log")));
    assert_int_equal(option_count(b, "sni"), 1);
    assert_string_equal(option_item(b, "sni", 0), "one");
    assert_int_equal(option_count(b, "listen"), 0);
    assert_int_equal(option_enum(b, "refuse"), -1);
    assert_null(option_str(b, "refuse"));
    assert_int_equal(option_count(a, "sni"), 3);
    assert_string_equal(option_item(a, "sni", 0), "*.x");
    assert_string_equal(option_item(a, "sni", 2), "three");
    assert_int_equal(option_count(a, "listen"), 2);
    assert_int_equal(option_endpoint(a, "listen", 1)->sa.sa_family, AF_UNIX);
    assert_null(option_endpoint(a, "listen", 2));
    assert_int_equal(option_enum(a, "proxy-protocol"), 2);
    option_file_free(&file);
}

/* The line that an error about an option names. */
static void assert_line(const struct option_section *s, const char *option, int line)
{
    char text[256], wanted[32];
    option_error(s, option, text, sizeof text, "no");
    snprintf(wanted, sizeof wanted, ":%d: ", line);
    assert_non_null(strstr(text, wanted));
}

static void lines_are_right_after_comments(void **state)
{
    (void)state;
    struct option_file *file = load_good("# one\n# two\n/* three\n four */\n\nworkers = 2\n"
                                         "route \"x\" { // seven\n  # eight\n  refuse = close\n  sni = {a,\n b}\n}\n"
                                         "user = 'two\nlines' limit = 1k\n");
    const struct option_section *top = option_top(file), *x = option_find(file, "route", "x");
    assert_line(top, "workers", 6);
    assert_int_equal(option_line(x), 7);
    assert_line(x, "refuse", 9);
    assert_line(x, "sni", 10);
    assert_line(x, "listen", 7);
    assert_line(top, "limit", 14);
    assert_true(option_is_set(x, "refuse"));
    assert_false(option_is_set(x, "listen"));
    option_file_free(&file);
}

static void errors_of_checks_beyond_the_rows(void **state)
{
    (void)state;
    struct option_file *file = load_good("workers = 2\n\nroute \"x\" {\n  refuse = close\n}\nlog { level = warn }");
    const struct option_section *top = option_top(file), *x = option_find(file, "route", "x");
    assert_int_equal(option_error(top, "workers", error, sizeof error, "too %s", "many"), -1);
    assert_string_equal(error, "t.conf:1: workers: too many");
    option_error(top, "user", error, sizeof error, "required");
    assert_string_equal(error, "t.conf: user: required");
    option_error(x, "refuse", error, sizeof error, "no");
    assert_string_equal(error, "t.conf:4: route \"x\": refuse: no");
    option_error(x, "sni", error, sizeof error, "required");
    assert_string_equal(error, "t.conf:3: route \"x\": sni: required");
    option_error(x, NULL, error, sizeof error, "expected an action");
    assert_string_equal(error, "t.conf:3: route \"x\": expected an action");
    option_error(option_single(file, "log"), "level", error, sizeof error, "no");
    assert_string_equal(error, "t.conf:6: log: level: no");
    option_error(x, NULL, error, 12, "cut");
    assert_string_equal(error, "t.conf:3: r");
    option_error(x, NULL, error, 1, "cut");
    assert_string_equal(error, "");
    option_file_free(&file);
}

static void wrong_values(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"workers = many", "t.conf:1: workers: expected a number from 1 to 256, got \"many\""},
        {"workers = 0", "t.conf:1: workers: expected a number from 1 to 256, got \"0\""},
        {"workers = 257", "t.conf:1: workers: expected a number from 1 to 256, got \"257\""},
        {"workers = \"\"", "t.conf:1: workers: expected a number from 1 to 256, got \"\""},
        {"workers = \"2 \"", "t.conf:1: workers: expected a number from 1 to 256, got \"2 \""},
        {"workers = 0x2", "t.conf:1: workers: expected a number from 1 to 256, got \"0x2\""},
        {"workers = 99999999999999999999",
         "t.conf:1: workers: expected a number from 1 to 256, got \"99999999999999999999\""},
        {"\noffset = -11", "t.conf:2: offset: expected a number from -10 to 10, got \"-11\""},
        {"free = x", "t.conf:1: free: expected a number, got \"x\""},
        {"timeout = 5",
         "t.conf:1: timeout: expected a time with its unit (ms, s, m, h, d) from 50ms to 10m, got \"5\""},
        {"timeout = 11m",
         "t.conf:1: timeout: expected a time with its unit (ms, s, m, h, d) from 50ms to 10m, got \"11m\""},
        {"timeout = 1y",
         "t.conf:1: timeout: expected a time with its unit (ms, s, m, h, d) from 50ms to 10m, got \"1y\""},
        {"grace = 2d", "t.conf:1: grace: expected a time with its unit (ms, s, m, h, d) from 0ms to 1d, got \"2d\""},
        {"grace = 9223372036854775807d", "t.conf:1: grace: expected a time with its unit (ms, s, m, h, d) from 0ms to "
                                         "1d, got \"9223372036854775807d\""},
        {"limit = 1m", "t.conf:1: limit: expected a size in bytes (or with k, m, g) from 512 to 64k, got \"1m\""},
        {"sandbox = maybe", "t.conf:1: sandbox: expected true or false, got \"maybe\""},
        {"sandbox = 1", "t.conf:1: sandbox: expected true or false, got \"1\""},
        {"lock-file = ''", "t.conf:1: lock-file: expected a file name, got \"\""},
        {"log {\nlevel = loud }", "t.conf:2: log: level: expected one of debug, info, warn; got \"loud\""},
        {"route r { refuse = 'close|reset' }",
         "t.conf:1: route \"r\": refuse: expected one of close, reset; got \"close|reset\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void wrong_endpoints_name_their_own_line(void **state)
{
    (void)state;
    struct endpoint e;
    const char *why;
    char expected[256];
    assert_int_equal(endpoint_parse("nowhere", &e, &why), -1);
    snprintf(expected, sizeof expected, "t.conf:3: route \"r\": listen: expected %s, got \"nowhere\"", why);
    assert_refused("route r {\n listen = {\"*:1\",\n nowhere}}", expected);
}

static void unknown_options(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\nworker = 1", "t.conf:2: unknown option \"worker\"; did you mean \"workers\"?"},
        {"rout r { }", "t.conf:1: unknown option \"rout\"; did you mean \"route\"?"},
        {"route r {\n proxy_protocol = v1 }",
         "t.conf:2: route \"r\": unknown option \"proxy_protocol\"; did you mean \"proxy-protocol\"?"},
        {"quux = 1", "t.conf:1: unknown option \"quux\""},
        {"sni = a", "t.conf:1: unknown option \"sni\"; it belongs in a section \"route\""},
        {"log { workers = 1 }", "t.conf:1: log: unknown option \"workers\"; it belongs outside of all sections"},
        {"route a {\n include(x)\n}", "t.conf:2: route \"a\": unknown option \"include\""},
        {"log { }\nlog|level = info", "t.conf:2: unknown option \"level\"; it belongs in a section \"log\""},
        {"\"log|level\" = info", "t.conf:1: unexpected \"|\" after \"log\""},
        {"'' = 1", "t.conf:1: expected an option"},
        {"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz = 1",
         "t.conf:1: unknown option \"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void given_twice(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"workers = 1\nworkers = 1", "t.conf:2: workers: given twice, first in line 1"},
        {"route r { sni = a\n sni = {b, c} }", "t.conf:2: route \"r\": sni: given twice, first in line 1"},
        {"route r { sni = {a, b}\n sni = c }", "t.conf:2: route \"r\": sni: given twice, first in line 1"},
        {"log { }\n\nlog { }", "t.conf:3: log: given twice, first in line 1"},
        {"route r { }\nroute s { }\nroute \"r\" { sni = b }", "t.conf:3: route \"r\": given twice, first in line 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void broken_form(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"workers 1", "t.conf:1: workers: expected \"=\" and a value"},
        {"workers\n", "t.conf:2: the file ends in the middle of an option"},
        {"workers = \n", "t.conf:2: the file ends in the middle of an option"},
        {"workers = {1, 2}", "t.conf:1: unexpected \"{\""},
        {"= 1", "t.conf:1: unexpected \"=\""},
        {"route {\n}", "t.conf:1: route: expected a title in quotes and \"{\""},
        {"route 'caf\xe9' { }", "t.conf:1: route \"caf\xe9\": expected a title in UTF-8"},
        {"lock-file = '/run/caf\xe9'", "t.conf:1: lock-file: expected UTF-8"},
        {"route '' { }", "t.conf:1: route \"\": expected a title that is not empty"},
        {"route r\nsni = a", "t.conf:2: route: expected \"{\""},
        {"log \"x\" { }", "t.conf:1: log: expected \"{\""},
        {"\nroute r {\n sni = a\nroute s {\n}\n", "t.conf:2: \"{\" is never closed: \"}\" is missing"},
        {"route r {\n sni = {a, b\n}\n", "t.conf:1: \"{\" is never closed: \"}\" is missing"},
        {"route r { }\n}", "t.conf:2: \"}\" without a \"{\" before it"},
        {"route r { sni = {\n} }", "t.conf:2: expected at least one value between \"{\" and \"}\""},
        {"route r { sni = {a b} }", "t.conf:1: route \"r\": unexpected \"b\""},
        {"\nuser = \"x\n\n", "t.conf:2: this text is never closed: \" is missing"},
        {"user = 'x\\'\n", "t.conf:1: this text is never closed: ' is missing"},
        {"\n/* x\n", "t.conf:2: this comment is never closed"},
        {"user = \"a\\0b\"", "t.conf:1: unknown escape \"\\0\" in a text; single quotes keep backslashes"},
        {"user = \"a\\8\"", "t.conf:1: unknown escape \"\\8\" in a text; single quotes keep backslashes"},
        {"route r { sni = \"a\", \"b\" }",
         "t.conf:1: route \"r\": unexpected \",\"; several values stand in braces: {\"a\", \"b\"}"},
        {"user = \"x\";\nworkers = 2", "t.conf:1: unexpected \";\": a line ends without it"},
        {"admin = *:443", "t.conf:1: a value with \"*\" in it must be written in quotes"},
        {"route r { sni += a }", "t.conf:1: a value with \"+\" in it must be written in quotes"},
        {"user = a${HOME}", "t.conf:1: a value with \"${\" in it must be written in quotes"},
        {"user = a\001", "t.conf:1: not a configuration file: it holds a byte 0x01"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], cases[i][1]);
    struct option_file *file = load_good("user = fine");
    option_file_free(&file);
}

static void escapes_and_words(void **state)
{
    (void)state;
    struct option_file *file = load_good("user = \"a\\\"b\\\\\\$\\n\\t\\'\" lock-file = unix//x\n");
    assert_string_equal(option_str(option_top(file), "user"), "a\"b\\$\n\t'");
    assert_string_equal(option_str(option_top(file), "lock-file"), "unix//x");
    option_file_free(&file);
    file = load_good("\xef\xbb\xbfuser = n\xc3\xa4me");
    assert_string_equal(option_str(option_top(file), "user"), "n\xc3\xa4me");
    option_file_free(&file);
    file = load_good("user = a\r\nworkers = 2\r\n");
    assert_string_equal(option_str(option_top(file), "user"), "a");
    assert_int_equal(option_int(option_top(file), "workers"), 2);
    option_file_free(&file);
}

static void environment_variables(void **state)
{
    (void)state;
    setenv("TEST_OPTION_SET", "me", 1);
    unsetenv("TEST_OPTION_UNSET");
    struct option_file *file = load_good("user = \"<${TEST_OPTION_SET}>${TEST_OPTION_UNSET:-or me}\"");
    assert_string_equal(option_str(option_top(file), "user"), "<me>or me");
    option_file_free(&file);
    file = load_good("user = '${TEST_OPTION_UNSET}' lock-file = \"\\${x}\"");
    assert_string_equal(option_str(option_top(file), "user"), "${TEST_OPTION_UNSET}");
    assert_string_equal(option_str(option_top(file), "lock-file"), "${x}");
    option_file_free(&file);
    assert_refused("user = \"${TEST_OPTION_UNSET}\"",
                   "t.conf:1: the environment variable \"TEST_OPTION_UNSET\" is not set");
    assert_refused("user = \"\\\\${TEST_OPTION_UNSET}\"",
                   "t.conf:1: the environment variable \"TEST_OPTION_UNSET\" is not set");
    assert_refused("user = \"${TEST\"", "t.conf:1: \"${\" is never closed");
}

static void unreadable_files(void **state)
{
    (void)state;
    assert_null(option_load("none.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error));
    assert_string_equal(error, "none.conf: cannot be read: No such file or directory");
    assert_null(option_load(".", ROWS, ARRAY_LEN(ROWS), error, sizeof error));
    assert_string_equal(error, ".: expected a file, this is a folder");
    write_file("bin.conf", "workers = 1\nuser = \"a\0b\"\n", 26);
    assert_null(option_load("bin.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error));
    assert_string_equal(error, "bin.conf:2: this text is never closed: \" is missing");
    write_file("bin.conf", "workers = 1\n\0ELF\n", 17);
    assert_null(option_load("bin.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error));
    assert_string_equal(error, "bin.conf:2: not a configuration file: it holds a byte 0x00");
    char *big = malloc(5 << 20);
    memset(big, '\n', 5 << 20);
    write_file("big.conf", big, 5 << 20);
    free(big);
    assert_null(option_load("big.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error));
    assert_string_equal(error, "big.conf: larger than 4 MiB");
}

static void includes(void **state)
{
    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("sub/a.conf", "# a\nroute two { sni = a }\ninclude(\"b.conf\")\n", 44);
    write_file("sub/b.conf", "lock-file = x workers = 3\nroute three { }", 41);
    struct option_file *file = load_good("route one { }\ninclude(\"sub/a.conf\")\nroute four { }\nuser = u");
    const struct option_section *s = NULL;
    static const char *const titles[] = {"one", "two", "three", "four"};
    for (size_t i = 0; i < 4; i++) {
        s = option_next(file, "route", s);
        assert_non_null(s);
        assert_string_equal(option_title(s), titles[i]);
    }
    assert_int_equal(option_line(s), 3);
    assert_line(option_top(file), "user", 4);
    assert_int_equal(option_int(option_top(file), "workers"), 3);
    assert_string_equal(option_str(option_top(file), "lock-file"), "x");
    option_error(option_top(file), "workers", error, sizeof error, "no");
    assert_string_equal(error, "sub/b.conf:1: workers: no");
    option_error(option_find(file, "route", "two"), NULL, error, sizeof error, "no");
    assert_string_equal(error, "sub/a.conf:2: route \"two\": no");
    option_file_free(&file);
}

static void messages_have_one_line(void **state)
{
    (void)state;
    write_file("t.conf", "workers = \"1\n\x01two\"", 18);
    assert_null(option_load("t.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error));
    assert_null(strchr(error, '\n'));
    assert_null(strchr(error, '\x01'));
    assert_string_equal(error, "t.conf:2: workers: expected a number from 1 to 256, got \"1  two\"");
}

static void broken_includes(void **state)
{
    (void)state;
    write_file("bad.conf", "\nworkers = x", 12);
    write_file("self.conf", "include(self.conf)", 18);
    static const char *const cases[][2] = {
        {"user = a\ninclude(bad.conf)\n", "bad.conf:2: workers: expected a number from 1 to 256, got \"x\""},
        {"include(missing.conf)", "t.conf:1: include: missing.conf: cannot be read: No such file or directory"},
        {"include(self.conf)", "self.conf:1: include: files include each other more than 10 deep"},
        {"include()", "t.conf:1: include: expected include(\"file\")"},
        {"include = x", "t.conf:1: include: expected include(\"file\")"},
        {"include(a, b)", "t.conf:1: include: expected include(\"file\")"},
        {"workers = 1\ninclude(bad.conf)", "bad.conf:2: workers: given twice, first in line 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void paths_are_relative_to_the_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir("etc", 0700), 0);
    write_file("etc/x.conf", "log { file = \"../y.log\" }", 25);
    struct option_file *file = option_load("etc/x.conf", ROWS, ARRAY_LEN(ROWS), error, sizeof error);
    assert_non_null(file);
    assert_string_equal(option_str(option_single(file, "log"), "file"), "etc/../y.log");
    assert_string_equal(option_str(option_top(file), "lock-file"), "etc/run/lock");
    option_file_free(&file);
}

static void rows_print_as_markdown(void **state)
{
    (void)state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    option_print_rows(&ROWS[8], 5, out);
    fclose(out);
    assert_string_equal(text, "## Top level\n\n"
                              "| option | value | preset | meaning |\n| --- | --- | --- | --- |\n"
                              "| `sandbox` | true or false | `true` | A switch. |\n"
                              "| `admin` | address |  | An address. |\n"
                              "\n## `log { … }`\n\nLogging.\n\n"
                              "| option | value | preset | meaning |\n| --- | --- | --- | --- |\n"
                              "| `level` | `debug`, `info`, `warn` | `info` | A \\| level. |\n"
                              "| `file` | file name |  | A file. |\n");
    free(text);
}

static const struct option_row GATEWAY_ROWS[] = {
#define OPTION(section, name, type, preset, min, max, choices, help)                                                   \
    {section, name, type, preset, min, max, choices, help},
#include "gateway/options.def"
#undef OPTION
};

static const struct option_row BACKEND_ROWS[] = {
#define OPTION(section, name, type, preset, min, max, choices, help)                                                   \
    {section, name, type, preset, min, max, choices, help},
#include "backend/options.def"
#undef OPTION
};

static void the_programs_tables(void **state)
{
    (void)state;
    static const char text[] = "workers = 2\n"
                               "listener \"public\" { address = {\"*:443\", \"[*]:443\"} }\n"
                               "upstream \"nginx\" {\n  server = \"127.0.0.1:8443\"\n  proxy-protocol = v2\n}\n"
                               "backend \"postern\" { inlet = /run/postern/inlet }\n"
                               "route \"xmpp\" {\n  alpn = \"xmpp-client\"\n  handoff = postern\n}\n";
    write_file("gw.conf", text, sizeof text - 1);
    struct option_file *file = option_load("gw.conf", GATEWAY_ROWS, ARRAY_LEN(GATEWAY_ROWS), error, sizeof error);
    if (file == NULL) fail_msg("%s", error);
    assert_int_equal(option_int(option_top(file), "workers"), 2);
    assert_int_equal(option_count(option_find(file, "listener", "public"), "address"), 2);
    assert_string_equal(option_str(option_find(file, "upstream", "nginx"), "proxy-protocol"), "v2");
    assert_string_equal(option_item(option_find(file, "route", "xmpp"), "alpn", 0), "xmpp-client");
    assert_int_equal(option_int(option_top(file), "idle-timeout"), 3600000);
    option_file_free(&file);
    /* Every preset of a table is read when its section is made. */
    static const char backend[] = "listener a { }\nhost b { }\n";
    write_file("be.conf", backend, sizeof backend - 1);
    file = option_load("be.conf", BACKEND_ROWS, ARRAY_LEN(BACKEND_ROWS), error, sizeof error);
    if (file == NULL) fail_msg("%s", error);
    assert_string_equal(option_str(option_top(file), "state-dir"), "/var/lib/postern");
    option_file_free(&file);
}

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_hold_in_an_empty_file),
        cmocka_unit_test(values_of_every_type),
        cmocka_unit_test(units),
        cmocka_unit_test(booleans),
        cmocka_unit_test(sections_keep_the_order_of_the_file),
        cmocka_unit_test(lines_are_right_after_comments),
        cmocka_unit_test(errors_of_checks_beyond_the_rows),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(wrong_endpoints_name_their_own_line),
        cmocka_unit_test(unknown_options),
        cmocka_unit_test(given_twice),
        cmocka_unit_test(broken_form),
        cmocka_unit_test(escapes_and_words),
        cmocka_unit_test(environment_variables),
        cmocka_unit_test(unreadable_files),
        cmocka_unit_test(includes),
        cmocka_unit_test(broken_includes),
        cmocka_unit_test(messages_have_one_line),
        cmocka_unit_test(paths_are_relative_to_the_file),
        cmocka_unit_test(the_programs_tables),
        cmocka_unit_test(rows_print_as_markdown),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
