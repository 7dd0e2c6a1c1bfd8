#include "lib/counter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct counter_row ROWS[] = {{"accepted", "Connections accepted."}, {"bytes_in", "Bytes from clients."}};

static void a_label_keeps_its_block(void **state)
{
    (void)state;
    struct counters *c = counters_new(ROWS, ARRAY_LEN(ROWS), 2);
    counter_cell *all = counters_block(c, "");
    counter_cell *web = counters_block(c, "web");
    assert_non_null(all);
    assert_non_null(web);
    assert_ptr_not_equal(all, web);
    counter_add(all, 0, 1);
    counter_add(all, 1, 100);
    counter_add(web, 1, UINT64_C(1) << 40);
    assert_ptr_equal(counters_block(c, ""), all);
    assert_ptr_equal(counters_block(c, "web"), web);
    assert_int_equal(counter_get(all, 0), 1);
    assert_int_equal(counter_get(all, 1), 100);
    assert_int_equal(counter_get(web, 0), 0);
    assert_int_equal(counter_get(web, 1), UINT64_C(1) << 40);
    counters_free(&c);
    assert_null(c);
    counters_free(&c);
}

static void labels_run_out(void **state)
{
    (void)state;
    char longest[64];
    memset(longest, 'x', 63);
    longest[63] = '\0';
    struct counters *c = counters_new(ROWS, ARRAY_LEN(ROWS), 2);
    counter_cell *a = counters_block(c, longest);
    assert_non_null(a);
    assert_non_null(counters_block(c, "b"));
    assert_null(counters_block(c, "c"));
    assert_ptr_equal(counters_block(c, longest), a);
    counters_free(&c);
}

static void a_child_adds_to_what_the_parent_reads(void **state)
{
    (void)state;
    enum { CHILDREN = 4, TIMES = 1000 };
    struct counters *c = counters_new(ROWS, ARRAY_LEN(ROWS), 3);
    counter_cell *block = counters_block(c, "");
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid > 0) continue;
        for (int n = 0; n < TIMES; n++)
            counter_add(block, 1, 2);
        _exit(0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(counter_get(block, 1), 2 * CHILDREN * TIMES);
    assert_int_equal(counter_get(block, 0), 0);
    counters_free(&c);
}

static void a_label_made_by_a_child_is_seen(void **state)
{
    (void)state;
    struct counters *c = counters_new(ROWS, ARRAY_LEN(ROWS), 2);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        counter_cell *block = counters_block(c, "late");
        if (block) counter_add(block, 0, 7);
        _exit(block ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(counter_get(counters_block(c, "late"), 0), 7);
    counters_free(&c);
}

static void write_one(const char *label, const struct counter_row *row, uint64_t value, void *arg)
{
    fprintf(arg, "%s/%s=%llu\n", label, row->name, (unsigned long long)value);
}

static void each_goes_by_label_and_row(void **state)
{
    (void)state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct counters *c = counters_new(ROWS, ARRAY_LEN(ROWS), 4);
    counter_add(counters_block(c, ""), 0, 3);
    counter_add(counters_block(c, "web"), 1, UINT64_MAX);
    counters_each(c, write_one, out);
    fclose(out);
    assert_string_equal(text, "/accepted=3\n/bytes_in=0\nweb/accepted=0\nweb/bytes_in=18446744073709551615\n");
    free(text);
    counters_free(&c);
}

static char *print(const struct counters *c)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    counters_each(c, write_one, out);
    fclose(out);
    return text;
}

static void assert_prints(const struct counters *c, const char *wanted)
{
    char *text = print(c);
    assert_string_equal(text, wanted);
    free(text);
}

/* The memory of a program that goes on; its processes may still add to it. */
static void a_follower_goes_on_counting(void **state)
{
    (void)state;
    struct counters *before = counters_new(ROWS, ARRAY_LEN(ROWS), 3);
    struct counters *after = counters_new(ROWS, ARRAY_LEN(ROWS), 3);
    counter_cell *all = counters_block(before, ""), *web = counters_block(before, "web");
    counter_add(all, 0, 3);
    assert_int_equal(counters_fd(before, 1), -1);
    assert_int_equal(counters_adopt(after, dup(counters_fd(before, 0))), 0);
    counter_add(web, 1, 5);
    counter_add(counters_block(after, "web"), 1, 2);
    assert_non_null(counters_block(after, "new"));
    assert_null(counters_block(after, "one too many"));
    assert_prints(after, "/accepted=3\n/bytes_in=0\nweb/accepted=0\nweb/bytes_in=7\nnew/accepted=0\nnew/bytes_in=0\n");
    counters_free(&before);
    counters_free(&after);
}

static const struct counter_row OTHER_ROWS[] = {
    {"bytes_in", "Bytes."}, {"gone", "What nobody counts any more."}, {"accepted", "Connections."}};
static const struct counter_row THIRD_ROWS[] = {{"accepted", "Connections."}};

/* Rows were added, have gone or changed their places: what was counted stays, by name, over more than one change. */
static void a_follower_with_other_rows_counts_by_name(void **state)
{
    (void)state;
    struct counters *first = counters_new(OTHER_ROWS, ARRAY_LEN(OTHER_ROWS), 5);
    struct counters *second = counters_new(ROWS, ARRAY_LEN(ROWS), 4);
    struct counters *third = counters_new(THIRD_ROWS, ARRAY_LEN(THIRD_ROWS), 4);
    counter_cell *old = counters_block(first, "web");
    counter_add(old, 2, 10);
    counter_add(old, 0, 20);
    assert_int_equal(counters_adopt(second, dup(counters_fd(first, 0))), 0);
    assert_prints(second, "web/accepted=10\nweb/bytes_in=20\n");
    counter_add(old, 2, 1);
    counter_add(counters_block(second, "web"), 0, 100);
    assert_prints(second, "web/accepted=111\nweb/bytes_in=20\n");
    for (size_t i = 0; counters_fd(second, i) >= 0; i++)
        assert_int_equal(counters_adopt(third, dup(counters_fd(second, i))), 0);
    assert_prints(third, "web/accepted=111\n");
    counters_free(&first);
    counters_free(&second);
    counters_free(&third);
}

static void only_counters_are_adopted(void **state)
{
    (void)state;
    struct counters *c = counters_new(ROWS, ARRAY_LEN(ROWS), 3);
    FILE *file = tmpfile();
    assert_int_equal(counters_adopt(c, fileno(file)), -1);
    fclose(file);
    int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(memory, 1 << 20), 0);
    assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(counters_adopt(c, memory), -1);
    close(memory);
    counters_free(&c);
}

static void rows_print_as_markdown(void **state)
{
    (void)state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    counter_print_rows(ROWS, ARRAY_LEN(ROWS), out);
    fclose(out);
    assert_string_equal(text, "| counter | meaning |\n| --- | --- |\n| `accepted` | Connections accepted. |\n"
                              "| `bytes_in` | Bytes from clients. |\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_keeps_its_block),
        cmocka_unit_test(labels_run_out),
        cmocka_unit_test(a_child_adds_to_what_the_parent_reads),
        cmocka_unit_test(a_label_made_by_a_child_is_seen),
        cmocka_unit_test(each_goes_by_label_and_row),
        cmocka_unit_test(a_follower_goes_on_counting),
        cmocka_unit_test(a_follower_with_other_rows_counts_by_name),
        cmocka_unit_test(only_counters_are_adopted),
        cmocka_unit_test(rows_print_as_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
