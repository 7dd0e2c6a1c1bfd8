#include "gateway/server_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

/* What is believed after each check of checks ('+' succeeded, '-' failed) with rise 2 and fall 3, beginning up. */
static void expect(const char *checks, const char *believed)
{
    bool down = false;
    uint32_t streak = 0;
    for (size_t i = 0; checks[i] != '\0'; i++) {
        down = server_check_decide(down, checks[i] == '+', 2, 3, &streak);
        if (down != (believed[i] == 'd')) fail_msg("%s: %zu: %s", checks, i, down ? "down" : "up");
    }
}

static void test_rise_and_fall(void **state)
{
    (void)state;
    expect("+++---", "uuuuud");
    expect("--+--+--+", "uuuuuuuuu"); /* not in a row */
    expect("---++", "uuddu");
    expect("---+-+-++", "uuddddddu");
    expect("---++---", "uudduuud");
    expect("---++--+---", "uudduuuuuud");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rise_and_fall)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
