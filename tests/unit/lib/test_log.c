#include "lib/log.h"

#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_log.XXXXXX";
static char *path, *moved;
static char text[1 << 20];

static int setup_group(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    path = mem_asprintf("%s/log", folder);
    moved = mem_asprintf("%s/log.1", folder);
    return 0;
}

static int teardown_group(void **state)
{
    (void)state;
    struct log_config plain = {.level = LOG_LEVEL_INFO};
    if (log_setup(&plain, NULL) != 0) return -1;
    unlink(path);
    unlink(moved);
    free(path);
    free(moved);
    return rmdir(folder);
}

static void use(enum log_level level, enum log_format format, enum addr_mode addresses)
{
    struct log_config config = {.level = level, .format = format, .addresses = addresses, .path = path};
    unlink(path);
    assert_int_equal(log_setup(&config, NULL), 0);
}

static const char *read_all(const char *file)
{
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[len] = '\0';
    return text;
}

/* The one line that was written, behind its time, which is checked here. */
static const char *line_after_time(void)
{
    static const char shape[] = "time=dddd-dd-ddTdd:dd:dd.dddZ ";
    const char *line = read_all(path);
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], shape[i]);
    }
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    return line + sizeof(shape) - 1;
}

static void log_value(const char *value, size_t len)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_INFO, "e");
    log_strn(&line, "v", value, len);
    log_end(&line);
}

static void assert_logfmt(const char *value, size_t len, const char *expected)
{
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
    char *whole = mem_asprintf("level=info event=e v=%s\n", expected);
    log_value(value, len);
    assert_string_equal(line_after_time(), whole);
    free(whole);
}

static void test_logfmt_line(void **state)
{
    (void)state;
    struct log_line line;
    struct addr unknown = {0};
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
    log_begin(&line, LOG_LEVEL_WARN, "close");
    log_str(&line, "reason", "peek_timeout");
    log_str(&line, "left_out", NULL);
    log_uint(&line, "conn", UINT64_MAX);
    log_int(&line, "delta", INT64_MIN);
    log_addr(&line, "peer", &unknown);
    log_end(&line);
    log_end(&line); /* ended already: nothing */
    assert_string_equal(line_after_time(), "level=warn event=close reason=peek_timeout conn=18446744073709551615 "
                                           "delta=-9223372036854775808 peer=unknown\n");
}

static void test_logfmt_values(void **state)
{
    (void)state;
#define LOGFMT(value, expected) assert_logfmt(value, sizeof(value) - 1, expected)
    LOGFMT("plain", "plain");
    LOGFMT("h2,http/1.1", "h2,http/1.1");
    LOGFMT("", "\"\"");
    LOGFMT("two words", "\"two words\"");
    LOGFMT("a=b", "\"a=b\"");
    LOGFMT("say \"x\"", "\"say \\\"x\\\"\"");
    LOGFMT("back\\slash", "\"back\\\\slash\"");
    LOGFMT("a\nlevel=error", "\"a\\nlevel=error\"");
    LOGFMT("\r\t\x1b[31m", "\"\\r\\t\\u001b[31m\"");
    LOGFMT("a\0b", "\"a\\u0000b\"");
    LOGFMT("\x7f", "\"\\u007f\"");
    LOGFMT("caf\xc3\xa9", "caf\xc3\xa9");
    LOGFMT("\xf0\x9f\x8f\xb0", "\xf0\x9f\x8f\xb0");
    LOGFMT("\xc2\x9b", "\"\\u009b\"");                      /* C1: a terminal's CSI */
    LOGFMT("\xff", "\"\\xff\"");                            /* no such byte in UTF-8 */
    LOGFMT("\xc3", "\"\\xc3\"");                            /* cut */
    LOGFMT("\xc0\xaf", "\"\\xc0\\xaf\"");                   /* overlong */
    LOGFMT("\xe0\x80\xaf", "\"\\xe0\\x80\\xaf\"");          /* overlong */
    LOGFMT("\xed\xa0\x80", "\"\\xed\\xa0\\x80\"");          /* a surrogate */
    LOGFMT("\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\""); /* above U+10FFFF */
    LOGFMT("\xe2\x82 ok", "\"\\xe2\\x82 ok\"");             /* cut in the middle */
#undef LOGFMT
}

/* A fixed sequence that looks random: a failure shows again. */
static size_t next_random(void)
{
    static uint64_t seed = 7;
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (size_t)(seed >> 33);
}

/* Any bytes whatever make one line of valid JSON. */
static void test_json_survives_any_bytes(void **state)
{
    (void)state;
    for (int turn = 0; turn < 300; turn++) {
        char value[40];
        size_t len = next_random() % sizeof(value);
        for (size_t i = 0; i < len; i++)
            value[i] = turn % 2 ? (char)next_random() : "\xc3\xa9\"\\\n\xf0\x9f"[next_random() % 7];
        use(LOG_LEVEL_INFO, LOG_FORMAT_JSON, ADDR_FULL);
        log_value(value, len);
        const char *line = read_all(path);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        json_error_t error;
        json_t *json = json_loads(line, JSON_ALLOW_NUL, &error);
        if (!json) fail_msg("%s: %s", error.text, line);
        assert_true(json_is_string(json_object_get(json, "v")));
        json_decref(json);
    }
}

static void test_json_line(void **state)
{
    (void)state;
    struct log_line line;
    use(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, ADDR_FULL);
    log_begin(&line, LOG_LEVEL_DEBUG, "close");
    log_str(&line, "sni", "a\xff\"\n");
    log_uint(&line, "bytes", 12);
    log_int(&line, "delta", -3);
    log_str(&line, "digits", "12");
    log_end(&line);
    const char *rest = strstr(read_all(path), "\",\"level\"");
    assert_non_null(rest);
    assert_string_equal(rest, "\",\"level\":\"debug\",\"event\":\"close\",\"sni\":\"a\\ufffd\\\"\\n\",\"bytes\":12,"
                              "\"delta\":-3,\"digits\":\"12\"}\n");
    assert_memory_equal(text, "{\"time\":\"20", 11);
}

static void test_levels(void **state)
{
    (void)state;
    use(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT, ADDR_FULL);
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    log_msg(LOG_LEVEL_INFO, "quiet", "%s", "x");
    log_value("x", 1);
    assert_string_equal(read_all(path), "");
    log_msg(LOG_LEVEL_ERROR, "loud", "%d of %s", 3, "four");
    assert_string_equal(line_after_time(), "level=error event=loud msg=\"3 of four\"\n");
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const expected[] = {"192.0.2.77:443", "192.0.2.0/24", "-"};
    struct endpoint e;
    const char *why;
    assert_int_equal(endpoint_parse("192.0.2.77:443", &e, &why), 0);
    for (int mode = ADDR_FULL; mode <= ADDR_NONE; mode++) {
        struct log_line line;
        char *whole = mem_asprintf("level=info event=e peer=%s\n", expected[mode]);
        use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, (enum addr_mode)mode);
        log_begin(&line, LOG_LEVEL_INFO, "e");
        log_addr(&line, "peer", &e.ip);
        log_end(&line);
        assert_string_equal(line_after_time(), whole);
        free(whole);
    }
}

/* Values of every length around the buffer's end: the field is there whole, or the line says that it was cut. */
static void test_cut_at_a_field(void **state)
{
    (void)state;
    static char value[4000];
    memset(value, 'x', sizeof(value));
    for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
        int whole = 0, cut = 0;
        for (size_t len = 2900; len < 3100; len++) {
            struct log_line line;
            use(LOG_LEVEL_INFO, (enum log_format)format, ADDR_FULL);
            log_begin(&line, LOG_LEVEL_INFO, "e");
            log_strn(&line, "v", value, len);
            log_str(&line, "after", "y");
            log_end(&line);
            bool has_value = strstr(read_all(path), "xxx") != NULL;
            bool has_after = strstr(text, "after") != NULL;
            bool truncated = strstr(text, format == LOG_FORMAT_JSON ? ",\"truncated\":true}\n" : " truncated=true\n");
            assert_true(truncated == !has_after);
            assert_true(has_value || !has_after);
            if (has_value) assert_true(strspn(strstr(text, "xxx"), "x") == len);
            assert_true(strlen(text) <= sizeof(line.text));
            assert_int_equal(text[strlen(text) - 1], '\n');
            if (has_after)
                whole++;
            else
                cut++;
        }
        assert_true(whole > 0 && cut > 0);
    }
}

static void test_file(void **state)
{
    (void)state;
    struct stat st;
    mode_t old = umask(0);
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
    umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    struct log_config bad = {.level = LOG_LEVEL_ERROR, .path = "/nonexistent/folder/log"};
    assert_int_equal(log_setup(&bad, NULL), -1);
    assert_int_equal(errno, ENOENT);
    log_msg(LOG_LEVEL_INFO, "still", "%s", "here"); /* the old setting stayed */
    assert_string_equal(line_after_time(), "level=info event=still msg=here\n");
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
}

static void test_reopen(void **state)
{
    (void)state;
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
    log_msg(LOG_LEVEL_INFO, "first", "%d", 1);
    assert_int_equal(rename(path, moved), 0);
    log_msg(LOG_LEVEL_INFO, "second", "%d", 2);
    assert_int_equal(log_reopen(NULL), 0);
    log_msg(LOG_LEVEL_INFO, "third", "%d", 3);
    assert_string_equal(line_after_time(), "level=info event=third msg=3\n");
    assert_non_null(strstr(read_all(moved), "event=second"));
    assert_null(strstr(text, "event=third"));
}

/* Every place has its own level; what is not given is the common one. */
static void test_several_sinks(void **state)
{
    (void)state;
    struct log_config config = {
        .level = LOG_LEVEL_INFO,
        .path = path,
        .error_path = moved,
        .own_level = {[LOG_SINK_FILE] = 1 + LOG_LEVEL_DEBUG, [LOG_SINK_ERROR_FILE] = 1 + LOG_LEVEL_WARN},
    };
    unlink(path);
    unlink(moved);
    assert_false(log_uses(&config, LOG_SINK_STDERR));
    assert_int_equal(log_setup(&config, NULL), 0);
    log_msg(LOG_LEVEL_DEBUG, "debug", "1");
    log_msg(LOG_LEVEL_WARN, "warn", "2");
    log_set_level(LOG_LEVEL_ERROR); /* not of the error file */
    log_msg(LOG_LEVEL_WARN, "quiet", "3");
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_non_null(strstr(read_all(path), "event=debug"));
    assert_non_null(strstr(text, "event=warn"));
    assert_null(strstr(text, "event=quiet"));
    assert_null(strstr(read_all(moved), "event=debug"));
    assert_non_null(strstr(text, "event=warn"));
    assert_non_null(strstr(text, "event=quiet"));

    const char *which = NULL;
    config.error_path = "/nonexistent/folder/log";
    assert_int_equal(log_setup(&config, &which), -1);
    assert_string_equal(which, config.error_path);
    unlink(moved);
    assert_int_equal(log_reopen(NULL), 0); /* the old ones stayed */
    log_msg(LOG_LEVEL_ERROR, "again", "4");
    assert_non_null(strstr(read_all(moved), "event=again"));

    config.error_path = NULL;
    assert_true(log_descriptor(LOG_SINK_ERROR_FILE) >= 0);
    assert_int_equal(log_setup(&config, NULL), 0);
    assert_int_equal(log_descriptor(LOG_SINK_ERROR_FILE), -1);
    assert_true(log_enabled(LOG_LEVEL_DEBUG));
}

/* A process that cannot open files is given them. */
static void test_adopt(void **state)
{
    (void)state;
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
    const int fd = open(moved, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    const struct log_config config = {.level = LOG_LEVEL_WARN, .error_path = "used", .to_stderr = false, .path = NULL};
    log_adopt(&config, LOG_SINK_ERROR_FILE, fd);
    assert_int_equal(log_descriptor(LOG_SINK_FILE), -1);
    assert_int_equal(log_descriptor(LOG_SINK_ERROR_FILE), fd);
    log_msg(LOG_LEVEL_WARN, "adopted", "%d", 1);
    assert_non_null(strstr(read_all(moved), "event=adopted"));
    assert_string_equal(read_all(path), "");
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
}

enum { WRITERS = 3, LINES = 400 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_msg(LOG_LEVEL_INFO, "thread", "%s %d padding to make the line longer", (const char *)arg, i);
    return NULL;
}

/* While the setting changes under the writers, each line stays whole and none is lost. */
static void test_threads(void **state)
{
    (void)state;
    static char names[WRITERS][2] = {"a", "b", "c"};
    pthread_t threads[WRITERS];
    int lines = 0;
    use(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, ADDR_FULL);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < 100; i++) {
        struct log_config config = {.path = path, .level = LOG_LEVEL_INFO, .format = (enum log_format)(i % 2)};
        assert_int_equal(log_setup(&config, NULL), 0);
        assert_int_equal(log_reopen(NULL), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    read_all(path);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
        *end = '\0';
        bool json = line[0] == '{';
        assert_int_equal(strncmp(line, json ? "{\"time\":\"" : "time=", json ? 9 : 5), 0);
        assert_string_equal(end - (json ? 8 : 7), json ? "longer\"}" : "longer\"");
        assert_ptr_equal(strstr(line, "longer"), end - (json ? 8 : 7));
    }
    assert_int_equal(lines, WRITERS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt_line),
        cmocka_unit_test(test_logfmt_values),
        cmocka_unit_test(test_json_survives_any_bytes),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_cut_at_a_field),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_several_sinks),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
