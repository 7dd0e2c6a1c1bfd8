#include "backend/onion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define REAL "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

static void real_addresses_are_right(void **state)
{
    (void)state;
    assert_null(onion_fault(REAL));
    assert_null(onion_fault("pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"));
    assert_null(onion_fault("rooms." REAL));
    assert_null(onion_fault("*." REAL));
    assert_null(onion_fault("*.onion"));
    assert_null(onion_fault("example.com"));
    assert_null(onion_fault("onion"));
}

/* In any place; of 65,536 mistakes one is not seen. */
static void a_mistyped_one_is_wrong(void **state)
{
    char name[] = REAL;
    (void)state;
    for (size_t i = 0; i < 56; i++) {
        const char was = name[i];
        name[i] = was == 'a' ? 'b' : 'a';
        if (!onion_fault(name)) fail_msg("%s", name);
        name[i] = was;
    }
    assert_non_null(strstr(onion_fault("3gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"), "checksum"));
}

static void what_cannot_be_one_is_wrong(void **state)
{
    (void)state;
    assert_non_null(strstr(onion_fault("facebookcorewwwi.onion"), "56"));
    assert_non_null(onion_fault("a" REAL));
    assert_non_null(onion_fault(REAL + 1));
    assert_non_null(onion_fault("2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wi1.onion"));
    assert_non_null(onion_fault("2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wic.onion"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_addresses_are_right),
        cmocka_unit_test(a_mistyped_one_is_wrong),
        cmocka_unit_test(what_cannot_be_one_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
