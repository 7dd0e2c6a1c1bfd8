#include "lib/spare.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Kilobytes of mapped files that are in memory; proc(5), status. */
static long file_kb(void)
{
    char line[128];
    long kb = -1;
    FILE *status = fopen("/proc/self/status", "re");
    assert_non_null(status);
    while (kb < 0 && fgets(line, sizeof(line), status))
        (void)sscanf(line, "RssFile: %ld", &kb);
    fclose(status);
    assert_true(kb > 0);
    return kb;
}

static void digest(char out[EVP_MAX_MD_SIZE])
{
    unsigned len = 0;
    memset(out, 0, EVP_MAX_MD_SIZE);
    assert_int_equal(EVP_Digest("capulet", 7, (unsigned char *)out, &len, EVP_sha512(), NULL), 1);
    assert_int_equal(len, 64);
}

static void test_pages_go_and_come_back(void **state)
{
    char before[EVP_MAX_MD_SIZE], after[EVP_MAX_MD_SIZE];
    (void)state;
    digest(before);
    const long held_kb = file_kb();
    spare_start_pages();
    assert_true(file_kb() < held_kb);
    digest(after); /* code, constants and what the dynamic linker wrote are as they were */
    assert_memory_equal(before, after, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages_go_and_come_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
