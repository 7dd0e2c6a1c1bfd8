#include "lib/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#ifdef POSTERN_FAULTS

/* In a child, with POSTERN_FAULT set so: pass one point so often; its wait status. */
static int pass(const char *text, enum fault fault, int times)
{
    int status;
    const pid_t child = fork();

    if (child == 0) {
        (void)setenv("POSTERN_FAULT", text, 1);
        (void)close(STDERR_FILENO);
        for (int i = 0; i < times; i++)
            fault_point(fault);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool is_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_kills_at_its_passing(void **state)
{
    (void)state;
    assert_true(is_killed(pass("store-before-commit", FAULT_STORE_BEFORE_COMMIT, 1)));
    assert_true(is_killed(pass("store-before-commit:3", FAULT_STORE_BEFORE_COMMIT, 3)));
    assert_int_equal(pass("store-before-commit:3", FAULT_STORE_BEFORE_COMMIT, 2), 0);
    assert_int_equal(pass("store-after-commit", FAULT_STORE_BEFORE_COMMIT, 5), 0);
    assert_true(is_killed(pass("store-after-commit:9,store-before-commit:2", FAULT_STORE_BEFORE_COMMIT, 2)));
    assert_int_equal(pass("", FAULT_STORE_BEFORE_COMMIT, 5), 0);
}

static void test_unknown_names_are_told(void **state)
{
    static const char *const wrong[] = {"nosuch", "store-before-commit:0", "store-before-commit:1x", "store-before",
                                        "store-before-commit:1,nosuch"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const int status = pass(wrong[i], FAULT_STORE_BEFORE_COMMIT, 1);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills_at_its_passing),
        cmocka_unit_test(test_unknown_names_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 0;
}

#endif
