#include "lib/control.h"

#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* The server runs in the test's own thread, the client in another one that says when it has finished. */
struct fixture {
    struct loop *loop;
    struct control *control;
    struct control_request *_Atomic held;
    int finished[2];
    int done;
    int pair;        /* the client's end of a socket pair */
    char text[4096]; /* what the client saw */
};

static char folder[] = "/tmp/test_control.XXXXXX";
static const char PATH[] = "ctl.sock";
static char why[256];

static void command_echo(struct control_request *request, void *arg)
{
    (void)arg;
    json_t *args = json_deep_copy(control_args(request));
    control_reply(request, args);
}

static void command_null(struct control_request *request, void *arg)
{
    (void)arg;
    control_reply(request, NULL);
}

static void command_fail(struct control_request *request, void *arg)
{
    (void)arg;
    const char *name = control_arg_str(request, "name");
    control_fail(request, "not-found", "no user %s", name ? name : "(none)");
}

static void command_fail_bytes(struct control_request *request, void *arg)
{
    (void)arg;
    control_fail(request, "internal", "\xff\xfe");
}

static void command_hold(struct control_request *request, void *arg)
{
    struct fixture *f = arg;
    f->held = request;
}

static void command_release(struct control_request *request, void *arg)
{
    struct fixture *f = arg;
    control_reply(f->held, json_string("held"));
    f->held = NULL;
    control_reply(request, json_string("released"));
}

static void command_big(struct control_request *request, void *arg)
{
    (void)arg;
    char *text = malloc(1 << 20);
    memset(text, 'x', 1 << 20);
    control_reply(request, json_stringn(text, 1 << 20));
    free(text);
}

/* Writes into what came along, and says how often something had. */
static void command_write(struct control_request *request, void *arg)
{
    int count = 0;
    (void)arg;
    for (int fd; (fd = control_take_fd(request)) >= 0; count++) {
        assert_int_equal(write(fd, "hello", 5), 5);
        close(fd);
    }
    control_reply(request, json_integer(count));
}

static const struct control_command COMMANDS[] = {
    {"echo", "", command_echo},        {"null", "", command_null},   {"fail", "", command_fail},
    {"bytes", "", command_fail_bytes}, {"hold", "", command_hold},   {"release", "", command_release},
    {"big", "", command_big},          {"write", "", command_write},
};

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    char c;
    (void)what;
    if (read(fd, &c, 1) == 1) loop_stop(arg);
}

/* Run the loop until the client's function returns. */
struct client {
    struct fixture *f;
    void (*fn)(struct fixture *f);
};

static void *client_main(void *arg)
{
    struct client *c = arg;
    c->fn(c->f);
    return write(c->f->finished[1], "", 1) == 1 ? NULL : arg;
}

static void run_client(struct fixture *f, void (*fn)(struct fixture *f))
{
    struct client c = {.f = f, .fn = fn};
    pthread_t thread;
    struct event *e = event_new(loop_base(f->loop), f->finished[0], EV_READ, on_finished, f->loop);
    event_add(e, NULL);
    assert_int_equal(pthread_create(&thread, NULL, client_main, &c), 0);
    loop_run(f->loop);
    pthread_join(thread, NULL);
    event_free(e);
}

static int connect_raw(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, PATH);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)&un, sizeof un) == 0) return fd;
    close(fd);
    return -1;
}

/* Everything until the server closes, as text. */
static void read_to_end(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(fd);
}

static void talk(struct fixture *f, const char *data, size_t len)
{
    int fd = connect_raw();
    if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len) abort();
    shutdown(fd, SHUT_WR);
    read_to_end(fd, f->text, sizeof f->text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->loop = loop_new();
    if (pipe(f->finished) < 0) return -1;
    f->control = control_listen(f->loop, PATH, COMMANDS, ARRAY_LEN(COMMANDS), f, why, sizeof why);
    *state = f;
    return f->control ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_free(&f->control);
    loop_free(&f->loop);
    close(f->finished[0]);
    close(f->finished[1]);
    free(f);
    return 0;
}

static void call_into(struct fixture *f, const char *command, json_t *args)
{
    json_t *answer = control_call(PATH, command, args, why, sizeof why);
    char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    snprintf(f->text + strlen(f->text), sizeof f->text - strlen(f->text), "%s\n", text ? text : why);
    free(text);
    json_decref(answer);
}

static void client_calls(struct fixture *f)
{
    json_t *args = json_pack("{s:s}", "name", "a\nb");
    call_into(f, "echo", args);
    call_into(f, "fail", args);
    json_decref(args);
    call_into(f, "echo", NULL);
    call_into(f, "null", NULL);
    call_into(f, "fail", NULL);
    call_into(f, "bytes", NULL);
    call_into(f, "nope", NULL);
}

static void commands_are_answered(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_calls);
    assert_string_equal(f->text,
                        "{\"ok\":true,\"result\":{\"name\":\"a\\nb\"}}\n"
                        "{\"code\":\"not-found\",\"error\":\"no user a\\nb\",\"ok\":false}\n"
                        "{\"ok\":true,\"result\":{}}\n"
                        "{\"ok\":true,\"result\":null}\n"
                        "{\"code\":\"not-found\",\"error\":\"no user (none)\",\"ok\":false}\n"
                        "{\"code\":\"internal\",\"error\":\"the text of the error is not UTF-8\",\"ok\":false}\n"
                        "{\"code\":\"usage\",\"error\":\"unknown command \\\"nope\\\"\",\"ok\":false}\n");
}

static void client_pipelines(struct fixture *f)
{
    static const char text[] =
        "{\"command\":\"hold\"}\n\n{\"command\":\"echo\",\"args\":{\"n\":1}}\r\n{\"command\":\"null\"}";
    int fd = connect_raw();
    if (send(fd, text, sizeof text - 1, 0) < 0) abort();
    shutdown(fd, SHUT_WR);
    /* The answer to the first request comes last, but is still the first on its connection. */
    while (f->held == NULL)
        call_into(f, "null", NULL);
    f->text[0] = '\0';
    call_into(f, "release", NULL);
    read_to_end(fd, f->text + strlen(f->text), sizeof f->text - strlen(f->text));
}

static void requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_pipelines);
    assert_string_equal(f->text, "{\"ok\":true,\"result\":\"released\"}\n"
                                 "{\"ok\":true,\"result\":\"held\"}\n{\"ok\":true,\"result\":{\"n\":1}}\n"
                                 "{\"ok\":true,\"result\":null}\n");
}

static void client_leaves(struct fixture *f)
{
    int fd = connect_raw();
    if (send(fd, "{\"command\":\"hold\"}\n", 19, 0) != 19) abort();
    while (f->held == NULL)
        call_into(f, "null", NULL);
    close(fd);
    call_into(f, "null", NULL);
    f->text[0] = '\0';
    call_into(f, "release", NULL);
    call_into(f, "null", NULL);
}

static void a_client_may_leave_before_its_answer(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_leaves);
    assert_string_equal(f->text, "{\"ok\":true,\"result\":\"released\"}\n{\"ok\":true,\"result\":null}\n");
}

static void client_holds(struct fixture *f)
{
    int fd = connect_raw();
    if (send(fd, "{\"command\":\"hold\"}\n", 19, 0) != 19) abort();
    while (f->held == NULL)
        call_into(f, "null", NULL);
    close(fd);
}

static void an_answer_may_outlive_the_control(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_holds);
    control_free(&f->control);
    assert_null(f->control);
    control_fail(f->held, "unavailable", "stopping");
}

static const char REFUSAL[] =
    "{\"ok\":false,\"error\":\"expected a line of JSON: {\\\"command\\\": \\\"…\\\", \\\"args\\\": "
    "{…}}\",\"code\":\"usage\"}\n";

static const char *bad_request;
static size_t bad_len;

static void client_sends_bad(struct fixture *f)
{
    talk(f, bad_request, bad_len);
}

static void a_malformed_request_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
#define CASE(text) {text, sizeof(text) - 1}
        CASE("nonsense\n{\"command\":\"null\"}\n"),
        CASE("[]\n"),
        CASE("{}\n"),
        CASE("{\"command\":1}\n"),
        CASE("{\"command\":\"null\",\"args\":[]}\n"),
        CASE("{\"command\":\"null\",\"command\":\"echo\"}\n"),
        CASE("{\"command\":\"null\"} x\n"),
        CASE("\0\n"),
        CASE("{\"command\":\"\xff\"}\n"),
        CASE("{\"command\":\"nu"),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bad_request = cases[i].text;
        bad_len = cases[i].len;
        run_client(f, client_sends_bad);
        assert_string_equal(f->text, REFUSAL);
    }
}

static void client_sends_sizes(struct fixture *f)
{
    char *text = malloc(70000);
    memset(text, ' ', 70000);
    memcpy(text, "{\"command\":\"null\"}", 18);
    text[65536] = '\n';
    talk(f, text, 65537);
    size_t len = strlen(f->text);
    text[65536] = ' ';
    int fd = connect_raw();
    if (send(fd, text, 70000, MSG_NOSIGNAL) < 0) abort();
    read_to_end(fd, f->text + len, sizeof f->text - len);
    free(text);
}

static void a_request_has_64_kib_at_most(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_sends_sizes);
    assert_string_equal(f->text, "{\"ok\":true,\"result\":null}\n"
                                 "{\"ok\":false,\"error\":\"a request may have 65536 bytes\",\"code\":\"usage\"}\n");
}

static void client_reads_big(struct fixture *f)
{
    json_t *answer = control_call(PATH, "big", NULL, why, sizeof why);
    snprintf(f->text, sizeof f->text, "%zu", json_string_length(json_object_get(answer, "result")));
    json_decref(answer);
}

static void a_big_answer_arrives_whole(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_reads_big);
    assert_string_equal(f->text, "1048576");
}

static void client_crowds(struct fixture *f)
{
    int fds[40];
    for (size_t i = 0; i < 40; i++)
        fds[i] = connect_raw();
    for (size_t i = 0; i < 39; i++)
        close(fds[i]);
    if (send(fds[39], "{\"command\":\"null\"}\n", 19, 0) != 19) abort();
    shutdown(fds[39], SHUT_WR);
    read_to_end(fds[39], f->text, sizeof f->text);
}

static void more_clients_than_places_wait(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_crowds);
    assert_string_equal(f->text, "{\"ok\":true,\"result\":null}\n");
}

static void on_done(void *arg)
{
    struct fixture *f = arg;
    f->done++;
    control_free(&f->control);
    loop_stop(f->loop);
}

static void one_peer_on_a_descriptor(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    control_free(&f->control);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    f->control = control_serve_fd(f->loop, pair[0], COMMANDS, ARRAY_LEN(COMMANDS), f, on_done);
    assert_int_equal(send(pair[1], "{\"command\":\"null\"}\n{\"command\":\"null\"}\n", 38, 0), 38);
    shutdown(pair[1], SHUT_WR);
    loop_run(f->loop);
    assert_int_equal(f->done, 1);
    read_to_end(pair[1], f->text, sizeof f->text);
    assert_string_equal(f->text, "{\"ok\":true,\"result\":null}\n{\"ok\":true,\"result\":null}\n");
}

static void the_file_is_private_and_goes_with_the_control(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(lstat(PATH, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    control_free(&f->control);
    assert_int_equal(lstat(PATH, &st), -1);
}

static void a_live_socket_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    assert_null(control_listen(f->loop, PATH, COMMANDS, 1, NULL, why, sizeof why));
    assert_string_equal(why, "ctl.sock: another process is listening there");
}

static void a_stale_socket_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "stale.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    struct control *c = control_listen(f->loop, "stale.sock", COMMANDS, 1, NULL, why, sizeof why);
    assert_non_null(c);
    /* A file of somebody else's at our path is left alone. */
    assert_int_equal(rename("stale.sock", "moved.sock"), 0);
    FILE *other = fopen("stale.sock", "w");
    fclose(other);
    control_free(&c);
    assert_int_equal(access("stale.sock", F_OK), 0);
    assert_null(control_listen(f->loop, "stale.sock", COMMANDS, 1, NULL, why, sizeof why));
    assert_string_equal(why, "stale.sock: this is no socket; it is left alone");
}

static void places_where_nobody_can_listen(void **state)
{
    struct fixture *f = *state;
    char path[200];
    memset(path, 'x', 108);
    path[108] = '\0';
    assert_null(control_listen(f->loop, path, COMMANDS, 1, NULL, why, sizeof why));
    assert_non_null(strstr(why, "a socket's path may have 107 bytes"));
    assert_null(control_listen(f->loop, "none/x", COMMANDS, 1, NULL, why, sizeof why));
    assert_string_equal(why, "none/x: cannot listen there: No such file or directory");
}

static void client_calls_over_fd(struct fixture *f)
{
    json_t *args = json_pack("{s:s}", "name", "over a pair");
    for (int i = 0; i < 2; i++) {
        json_t *answer = control_call_fd(f->pair, "echo", args, why, sizeof why);
        const char *name = json_string_value(json_object_get(json_object_get(answer, "result"), "name"));
        snprintf(f->text + strlen(f->text), sizeof f->text - strlen(f->text), "%s\n", name ? name : why);
        json_decref(answer);
    }
    json_decref(args);
    close(f->pair);
}

/* The descriptor stays the caller's, and blocking or not makes no difference. */
static void calls_over_a_connected_descriptor(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    control_free(&f->control);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    f->control = control_serve_fd(f->loop, pair[0], COMMANDS, ARRAY_LEN(COMMANDS), f, NULL);
    f->pair = pair[1];
    run_client(f, client_calls_over_fd);
    assert_string_equal(f->text, "over a pair\nover a pair\n");
}

static void client_passes(struct fixture *f)
{
    int fd = control_connect(PATH, why, sizeof why), file = open("passed", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && file >= 0);
    const int passed[] = {file, -1, file};
    for (int i = 0; i < 3; i++) {
        json_t *answer = control_call_long(fd, i == 1 ? "null" : "write", NULL, passed[i], why, sizeof why);
        const int count = (int)json_integer_value(json_object_get(answer, "result"));
        snprintf(f->text + strlen(f->text), sizeof f->text - strlen(f->text), "%d ", count);
        json_decref(answer);
    }
    assert_int_equal(pread(file, f->text + strlen(f->text), 16, 0), 10);
    close(file);
    /* One that nobody takes is closed with the connection. */
    json_decref(control_call_long(fd, "null", NULL, fd, why, sizeof why));
    close(fd);
}

static void a_descriptor_goes_along(void **state)
{
    struct fixture *f = *state;
    run_client(f, client_passes);
    assert_string_equal(f->text, "1 0 1 hellohello");
}

static void a_call_over_a_closed_descriptor(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[0]);
    assert_null(control_call_fd(pair[1], "null", NULL, why, sizeof why));
    assert_int_equal(errno, EPIPE);
    assert_string_equal(why, "control connection: no answer: closed without an answer");
    close(pair[1]);
}

static void calls_that_reach_nobody(void **state)
{
    (void)state;
    assert_null(control_call("none.sock", "null", NULL, why, sizeof why));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(why, "none.sock: cannot connect: No such file or directory");
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "dead.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    assert_null(control_call("dead.sock", "null", NULL, why, sizeof why));
    assert_int_equal(errno, ECONNREFUSED);
}

static void call_as_nobody(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0) _exit(9);
        int fd = connect_raw();
        if (fd < 0) _exit(8);
        char c;
        (void)!send(fd, "{\"command\":\"null\"}\n", 19, MSG_NOSIGNAL);
        _exit(recv(fd, &c, 1, 0) == 1 ? 1 : 0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    snprintf(f->text, sizeof f->text, "%d", WEXITSTATUS(status));
}

static void strangers_are_refused(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0) skip();
    assert_int_equal(chmod(folder, 0755), 0);
    run_client(f, call_as_nobody);
    assert_string_equal(f->text, "8");
    assert_int_equal(chmod(PATH, 0606), 0);
    run_client(f, call_as_nobody);
    assert_string_equal(f->text, "0");
    assert_int_equal(chown(PATH, 0, 65534), 0);
    assert_int_equal(chmod(PATH, 0660), 0);
    run_client(f, call_as_nobody);
    assert_string_equal(f->text, "1");
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_are_answered),
        TEST(requests_are_answered_in_order),
        TEST(a_client_may_leave_before_its_answer),
        TEST(an_answer_may_outlive_the_control),
        TEST(a_malformed_request_ends_the_connection),
        TEST(a_request_has_64_kib_at_most),
        TEST(a_big_answer_arrives_whole),
        TEST(more_clients_than_places_wait),
        TEST(one_peer_on_a_descriptor),
        TEST(the_file_is_private_and_goes_with_the_control),
        TEST(a_live_socket_is_not_replaced),
        TEST(a_stale_socket_is_replaced),
        TEST(places_where_nobody_can_listen),
        TEST(calls_over_a_connected_descriptor),
        TEST(a_descriptor_goes_along),
        TEST(a_call_over_a_closed_descriptor),
        TEST(calls_that_reach_nobody),
        TEST(strangers_are_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
