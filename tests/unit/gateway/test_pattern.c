#include "gateway/pattern.h"

#include "gateway/gateway_options.h"
#include "gateway/pattern_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/gateway/sample.h"

/* Linux 6.3; what MemoryDenyWriteExecute=yes of systemd does. */
enum { SET_MDWE = 65 };

struct loaded {
    struct option_file *file;
    struct pattern_set *set;
    char error[512];
};

static struct loaded load(const char *text)
{
    struct loaded l = {0};
    char path[] = "/tmp/test_pattern.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s\n", text) > 0);
    close(fd);
    l.file = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, l.error, sizeof(l.error));
    unlink(path);
    if (l.file != NULL) l.set = pattern_set_new(l.file, l.error, sizeof(l.error));
    return l;
}

static struct loaded load_good(const char *text)
{
    struct loaded l = load(text);
    assert_string_equal(l.error, "");
    assert_non_null(l.set);
    return l;
}

static void unload(struct loaded *l)
{
    pattern_set_free(&l->set);
    assert_null(l->set);
    option_file_free(&l->file);
}

/* A set of one pattern. */
static struct loaded load_one(const char *regex)
{
    char text[512];
    snprintf(text, sizeof(text), "pattern \"one\" { regex = '%s' }", regex);
    return load_good(text);
}

static enum probe_verdict look(struct loaded *l, size_t index, const void *data, size_t len, bool final)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    if (len > 0) memcpy(exact, data, len);
    struct sight sight = {.data = exact, .len = len, .final = final};
    enum probe_verdict verdict = pattern_look(l->set, index, &sight);
    assert_int_equal(sight.pattern_limits, 0);
    free(exact);
    return verdict;
}

static void refused(const char *text, const char *part, const char *part2)
{
    struct loaded l = load(text);
    print_message("%s\n", l.error);
    assert_null(l.set);
    assert_non_null(strstr(l.error, ":2: "));
    assert_non_null(strstr(l.error, part));
    assert_non_null(strstr(l.error, part2));
    unload(&l);
}

static void faults_have_a_place(void **state)
{
    (void)state;
    refused("\npattern \"ssh\" { regex = '^x' }", "another name", "\"ssh\"");
    refused("\npattern \"0123456789012345678901234567890123456789012345678901234567890123\" { regex = '^x' }",
            "at most 63", "expected");
    refused("\npattern \"a\" { }", "regular expression", "\"a\"");
    refused("\npattern \"a\" { regex = '' }", "regular expression", "\"a\"");
    refused("\npattern \"a\" { regex = '^[x' }", "offset 3", "missing terminating ]");
    refused("\npattern \"a\" { regex = '^x(' }", "offset 3", "parenthesis");
    refused("\npattern \"a\" { regex = '(*UTF)^x' }", "offset", "UTF");
}

static void what_depends_on_cuts_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *regex;
        ssize_t offset; /* -1: fine */
    } ROWS[] = {
        {"^a\\R", 2},          {"^a\\\\R", -1},  {"\\Q\\R(?s)\\E(?s)", 10},
        {"\\Qa(*SKIP)", -1},   {"a(*SKIP)b", 1}, {"(?s)a", 0},
        {"a(?im-s:b)", 1},     {"(?^s)", 0},     {"(?i)a", -1},
        {"(?<s>a)", -1},       {"(?'s'a)", -1},  {"(?P<s>a)", -1},
        {"[(*]", -1},          {"[](*]", -1},    {"[^](*](*F)", 6},
        {"[[:alpha:](*]", -1}, {"[\\](*]", -1},  {"\\(*", -1},
        {"a\\C", 1},           {"[[](?s)", 3},   {"", -1},
        {"a\\", -1},           {"\\Q", -1},      {"[a", -1},
        {"(?=a)(?!b)$", -1},   {"a(?#[)\\R", 1}, {"(?x)#[\n\\R", 0},
        {"(?i-x:a)", 0},       {"#a", -1},       {"[\\Q]\\E(*](*F)", 9},
        {"[\\Q](*\\E](?#", 9}, {"[\\Q", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        size_t offset = 0;
        const char *why = pattern_check(ROWS[i].regex, &offset);
        print_message("%s: %s\n", ROWS[i].regex, why != NULL ? why : "fine");
        assert_int_equal(why == NULL, ROWS[i].offset < 0);
        if (why != NULL) assert_int_equal(offset, ROWS[i].offset);
    }
    refused("\npattern \"a\" { regex = '^x\\R' }", "offset 2", "\\r\\n");
}

static void there_is_a_greatest_number(void **state)
{
    (void)state;
    char text[8192] = "";
    size_t max = PROBE_MAX - PROBE_COUNT;
    for (size_t i = 0; i < max; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "pattern \"p%zu\" { regex = 'x' } ", i);
    struct loaded l = load_good(text);
    assert_int_equal(pattern_count(l.set), max);
    assert_int_equal(pattern_find(l.set, "p7"), 7);
    assert_string_equal(pattern_name(l.set, 7), "p7");
    assert_int_equal(pattern_find(l.set, "p"), -1);
    unload(&l);
    char more[8400];
    snprintf(more, sizeof(more), "%s\npattern \"last\" { regex = 'x' }", text);
    refused(more, "at most", "\"last\"");
}

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *regex, *text;
        enum probe_verdict verdict, final;
    } ROWS[] = {
        {"^SIP/2", "SIP/2.0", PROBE_MATCH, PROBE_MATCH},
        {"SIP/2", "SIP/2", PROBE_MATCH, PROBE_MATCH},
        {"SIP/2", "SIP/", PROBE_MORE, PROBE_NO},
        {"SIP/2", "xSIP/2", PROBE_NO, PROBE_NO},
        {"SIP/2", "", PROBE_MORE, PROBE_NO},
        {"x*", "", PROBE_MORE, PROBE_NO},
        {"PING\\s*", "PING", PROBE_MORE, PROBE_MATCH},
        {"PING\\s*", "PING ", PROBE_MORE, PROBE_MATCH},
        {"PING\\s*", "PING a", PROBE_MATCH, PROBE_MATCH},
        {"PING$", "PING", PROBE_MORE, PROBE_MATCH},
        {"PING$", "PING\n", PROBE_NO, PROBE_NO},
        {"PING\\Z", "PING\n", PROBE_MORE, PROBE_MATCH},
        {"a(?!bc)", "ab", PROBE_MORE, PROBE_MATCH},
        {"a(?!bc)", "abc", PROBE_NO, PROBE_NO},
        {"a(?=bc)", "ab", PROBE_MORE, PROBE_NO},
        {"(?m)a\\n^b", "a\n", PROBE_MORE, PROBE_NO},
        {"(?m)a\\n^b", "a\nb", PROBE_MATCH, PROBE_MATCH},
        {"a\\b", "a", PROBE_MORE, PROBE_MATCH},
        {"[\\x00-\\xff]{4}!", "\n\n", PROBE_MORE, PROBE_NO},
        {"[\\x80-\\xff]+?a", "\xc3\xa9", PROBE_MORE, PROBE_NO},
        {"[\\x80-\\xff]+?a", "\xc3\xa9\x61", PROBE_MATCH, PROBE_MATCH},
    };
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct loaded l = load_one(ROWS[i].regex);
        print_message("%s: %s\n", ROWS[i].regex, ROWS[i].text);
        assert_int_equal(look(&l, 0, ROWS[i].text, strlen(ROWS[i].text), false), ROWS[i].verdict);
        assert_int_equal(look(&l, 0, ROWS[i].text, strlen(ROWS[i].text), true), ROWS[i].final);
        unload(&l);
    }
}

static void too_many_steps_are_no_match(void **state)
{
    (void)state;
    struct loaded l = load_one("(?:a|aa|aaa)+b");
    uint8_t text[64];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 'c';
    struct sight sight = {.data = text, .len = sizeof(text)};
    assert_int_equal(pattern_look(l.set, 0, &sight), PROBE_NO);
    assert_int_equal(sight.pattern_limits, 1);
    sight.final = true;
    assert_int_equal(pattern_look(l.set, 0, &sight), PROBE_NO);
    assert_int_equal(sight.pattern_limits, 2);
    unload(&l);
}

/* Neither while it is loaded nor beside another set. */
static void code_is_not_writable(void **state)
{
    (void)state;
    struct loaded one = load_one("a+b"), two = load_one("c+d");
    pattern_set_free(&one.set);
    struct loaded three = load_one("e+f");
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    char line[512];
    while (fgets(line, sizeof(line), maps) != NULL)
        assert_null(strstr(line, " rwx"));
    fclose(maps);
    assert_int_equal(look(&two, 0, "cd", 2, false), PROBE_MATCH);
    assert_int_equal(look(&three, 0, "ef", 2, false), PROBE_MATCH);
    unload(&one);
    unload(&two);
    unload(&three);
}

/* The blocks of docs/recipes/patterns.md, as they are. */
static struct loaded load_recipes(void)
{
    static char text[8192];
    char line[512];
    FILE *file = fopen(TEST_CORPUS "/../../../docs/recipes/patterns.md", "r");
    assert_non_null(file);
    bool inside = false;
    text[0] = '\0';
    while (fgets(line, sizeof(line), file) != NULL) {
        bool fence = strncmp(line, "```", 3) == 0;
        if (inside && !fence) strncat(text, line, sizeof(text) - strlen(text) - 1);
        if (fence) inside = !inside;
    }
    fclose(file);
    return load_good(text);
}

static struct loaded recipes;

/* A sample "first_NAME..." is taken by the recipe NAME alone, any other by none; at every split point. */
static void check_recipes(const struct sample *sample)
{
    for (size_t i = 0; i < pattern_count(recipes.set); i++) {
        char prefix[64];
        snprintf(prefix, sizeof(prefix), "first_%s", pattern_name(recipes.set, i));
        enum probe_verdict wanted = strncmp(sample->name, prefix, strlen(prefix)) == 0 ? PROBE_MATCH : PROBE_NO;
        if (look(&recipes, i, sample->data, sample->len, false) != wanted)
            fail_msg("%s: %s", pattern_name(recipes.set, i), sample->name);
        for (size_t len = 0; len < sample->len; len++) {
            enum probe_verdict verdict = look(&recipes, i, sample->data, len, false);
            assert_true(verdict == PROBE_MORE || verdict == wanted);
            assert_true(verdict == PROBE_MORE || verdict == look(&recipes, i, sample->data, len, true));
        }
    }
}

static void recipes_take_their_own(void **state)
{
    (void)state;
    recipes = load_recipes();
    assert_int_equal(pattern_count(recipes.set), 5);
    assert_true(sample_each(check_recipes) >= 60);
    unload(&recipes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_a_place),         cmocka_unit_test(what_depends_on_cuts_is_refused),
        cmocka_unit_test(there_is_a_greatest_number),  cmocka_unit_test(verdicts),
        cmocka_unit_test(too_many_steps_are_no_match), cmocka_unit_test(code_is_not_writable),
        cmocka_unit_test(recipes_take_their_own),
    };
    /* Once where no code can be made, so that PCRE2 interprets; an old kernel cannot forbid it. */
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (prctl(SET_MDWE, 1, 0, 0, 0) < 0) print_message("not tested interpreted: the kernel is too old\n");
        return cmocka_run_group_tests_name("interpreted", tests, NULL, NULL);
    }
    int status = 0;
    bool interpreted = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL) + (interpreted ? 0 : 1);
}
