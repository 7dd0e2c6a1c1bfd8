#include "gateway/channel.h"

#include "gateway/channel_packet.h"
#include "lib/fdpass.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The two sides, both on one loop; b is a plain socket in the tests of bad packets. */
static struct loop *loop;
static int ends[2];
static struct channel *a, *b;

/* What came to b, and what a was told. */
static struct {
    json_t *message;
    size_t count;
    int fd;
    unsigned gone;
    char *why;
    json_t *answers;
} seen;

static void on_hello(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel;
    assert_ptr_equal(arg, &seen);
    json_decref(seen.message);
    seen.message = json_deep_copy(message);
    seen.count++;
    if (*fd >= 0) seen.fd = dup(*fd); /* the channel closes its own */
    loop_stop(loop);
}

static void on_take(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel, (void)message, (void)arg;
    seen.fd = *fd;
    *fd = -1;
    loop_stop(loop);
}

static void on_double(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)fd, (void)arg;
    channel_answer(channel, message, json_integer(2 * json_integer_value(json_object_get(message, "number"))));
}

static void on_silent(struct channel *channel, const json_t *message, int *fd, void *arg)
{
    (void)channel, (void)message, (void)fd, (void)arg;
}

static const struct channel_row ROWS[] = {
    {"hello", on_hello}, {"take", on_take}, {"double", on_double}, {"silent", on_silent}};

static void on_gone(void *arg, const char *why)
{
    (void)arg;
    seen.gone++;
    seen.why = mem_strdup(why);
    loop_stop(loop);
}

static void on_answers(const json_t *answers, void *arg)
{
    assert_ptr_equal(arg, &seen);
    assert_null(seen.answers);
    seen.answers = json_deep_copy(answers);
    loop_stop(loop);
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    seen.fd = -1;
    loop = loop_new();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) return -1;
    a = channel_new(loop, ends[0], ROWS, ARRAY_LEN(ROWS), on_gone, &seen);
    b = channel_new(loop, ends[1], ROWS, ARRAY_LEN(ROWS), on_gone, &seen);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    channel_free(&a);
    channel_free(&b);
    loop_free(&loop);
    json_decref(seen.message);
    json_decref(seen.answers);
    free(seen.why);
    if (seen.fd >= 0) close(seen.fd);
    return 0;
}

static json_t *hello(const char *text)
{
    return json_pack("{s:s, s:s}", "type", "hello", "text", text);
}

static void test_messages_arrive(void **state)
{
    (void)state;
    assert_int_equal(channel_send(a, hello("there"), -1), 0);
    loop_run(loop);
    assert_string_equal(json_string_value(json_object_get(seen.message, "text")), "there");
    assert_int_equal(seen.fd, -1);
}

static void test_descriptors_go_along(void **state)
{
    (void)state;
    int pipes[2];
    char byte = 0;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(channel_send(a, json_pack("{s:s}", "type", "take"), pipes[1]), 0);
    close(pipes[1]);
    loop_run(loop);
    assert_int_equal(write(seen.fd, "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(pipes[0]);
}

static void test_long_messages_go_through_memory(void **state)
{
    (void)state;
    size_t size = (size_t)10 * 1024 * 1024;
    char *text = mem_alloc(size + 1);
    memset(text, 'x', size);
    assert_int_equal(channel_send(a, hello(text), -1), 0);
    loop_run(loop);
    assert_string_equal(json_string_value(json_object_get(seen.message, "text")), text);
    assert_int_equal(seen.fd, -1);
    assert_int_equal(channel_send(a, hello(text), ends[0]), -1); /* there is room for one descriptor */
    assert_int_equal(errno, EMSGSIZE);
    char *longer = mem_asprintf("%s%s", text, text);
    assert_int_equal(channel_send(a, hello(longer), -1), -1);
    assert_int_equal(errno, EMSGSIZE);
    free(longer);
    free(text);
}

/* The socket takes some at once; the others wait, and nothing is lost or changes its place. */
static void test_what_the_socket_does_not_take_waits(void **state)
{
    (void)state;
    char text[20000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    size_t sent = 0;
    while (channel_send(a, json_pack("{s:s, s:I, s:s}", "type", "hello", "number", (json_int_t)sent, "text", text),
                        -1) == 0)
        sent++;
    assert_int_equal(errno, ENOBUFS);
    assert_in_range(sent, 257, 1000);
    while (seen.count < sent) {
        loop_run(loop);
        assert_int_equal(json_integer_value(json_object_get(seen.message, "number")), seen.count - 1);
    }
    assert_int_equal(channel_send(a, hello("again"), -1), 0);
    loop_run(loop);
    assert_int_equal(seen.count, sent + 1);
}

static void test_the_end_is_told(void **state)
{
    (void)state;
    channel_free(&b);
    loop_run(loop);
    assert_int_equal(seen.gone, 1);
    assert_null(seen.why);
    assert_int_equal(channel_send(a, hello("nobody"), -1), -1);
}

static void assert_ends_channel(const char *bytes, int fd)
{
    assert_int_equal(fdpass_send(channel_fd(a), fd, bytes, strlen(bytes)), 0);
    loop_run(loop);
    assert_int_equal(seen.gone, 1);
    assert_non_null(seen.why);
    assert_int_equal(seen.count, 0);
}

static void test_no_message_ends_the_channel(void **state)
{
    static const char *const BAD[] = {"drain",
                                      "[]",
                                      "{\"type\": 1}",
                                      "{}",
                                      "{\"type\":\"x\"}",
                                      "memfd",
                                      "{\"type\":\"hello\"",
                                      "7",
                                      "{\"type\":\"hello\",\"type\":\"hello\"}"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        assert_ends_channel(BAD[i], -1);
        teardown(state);
        setup(state);
    }
}

/* A pipe would block who reads it, and memory without seals could shrink meanwhile. */
static void test_only_sealed_memory_is_read(void **state)
{
    (void)state;
    static const char text[] = "{\"type\":\"hello\"}";
    int pipes[2], memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_ends_channel("memfd", pipes[0]);
    close(pipes[0]);
    close(pipes[1]);
    teardown(state);
    setup(state);
    assert_int_equal(write(memory, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_ends_channel("memfd", memory);
    teardown(state);
    setup(state);
    assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    assert_int_equal(fdpass_send(channel_fd(a), memory, "memfd", 5), 0);
    loop_run(loop);
    assert_int_equal(seen.count, 1);
    close(memory);
}

static int memory_with(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    return fd;
}

/* Six million empty arrays in 16 MiB would take most of a gigabyte, and seconds. */
static void test_many_values_are_no_message(void **state)
{
    enum { VALUES = 600000 };
    static const char head[] = "{\"type\":\"hello\",\"text\":", end[] = "0]}";
    char *text = mem_alloc(sizeof(head) + (size_t)4 * VALUES + sizeof(end));
    char *p = stpcpy(text, head);
    *p++ = '"';
    for (size_t i = 0; i < VALUES; i++)
        p = stpcpy(p, i % 2 == 0 ? "[,{" : "\\\"");
    strcpy(p, "\"}");
    int memory = memory_with(text);
    assert_int_equal(fdpass_send(channel_fd(a), memory, "memfd", 5), 0); /* in a string it is no structure */
    loop_run(loop);
    assert_int_equal(seen.count, 1);
    close(memory);
    teardown(state);
    setup(state);
    p = stpcpy(text, head);
    *p++ = '[';
    for (size_t i = 0; i < VALUES; i++)
        p = stpcpy(p, "0,");
    strcpy(p, end);
    memory = memory_with(text);
    assert_ends_channel("memfd", memory);
    close(memory);
    free(text);
}

static void ask(struct channel *const *channels, size_t count, const char *type, int64_t timeout_ms)
{
    channel_ask(loop, channels, count, json_pack("{s:s, s:i}", "type", type, "number", 21), timeout_ms, on_answers,
                &seen);
}

static void test_questions_are_answered(void **state)
{
    (void)state;
    struct channel *both[] = {a, b};
    ask(both, 2, "double", 60000);
    loop_run(loop);
    assert_int_equal(json_array_size(seen.answers), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(json_integer_value(json_array_get(seen.answers, i)), 42);
}

static void test_no_answer_is_null(void **state)
{
    (void)state;
    ask(&a, 1, "silent", 1);
    loop_run(loop);
    assert_true(json_is_null(json_array_get(seen.answers, 0)));
}

static void test_who_goes_answers_nothing(void **state)
{
    (void)state;
    ask(&a, 1, "silent", 60000);
    channel_free(&a);
    assert_true(json_is_null(json_array_get(seen.answers, 0)));
}

static void test_nobody_to_ask(void **state)
{
    (void)state;
    ask(NULL, 0, "silent", 60000);
    assert_int_equal(json_array_size(seen.answers), 0);
}

/* Late ones, those that nobody asked for, and those without a number change nothing. */
static void test_stray_answers_are_dropped(void **state)
{
    (void)state;
    static const char *const STRAY[] = {"{\"type\":\"answer\"}", "{\"type\":\"answer\",\"id\":77,\"result\":1}",
                                        "{\"type\":\"answer\",\"id\":\"x\"}"};
    for (size_t i = 0; i < ARRAY_LEN(STRAY); i++)
        assert_int_equal(fdpass_send(channel_fd(a), -1, STRAY[i], strlen(STRAY[i])), 0);
    assert_int_equal(channel_send(a, hello("then"), -1), 0);
    loop_run(loop);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.gone, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors_go_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_messages_go_through_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_socket_does_not_take_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_message_ends_the_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_sealed_memory_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_values_are_no_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_questions_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer_is_null, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_goes_answers_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_to_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stray_answers_are_dropped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
