#include "backend/dialback.h"

#include "backend/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* The hash is that of "s3cr3tf0rd14lb4ck". */
/* Conforms: XEP-0185, 2 3: the key of the example */
static void is_as_in_the_specification(void **state)
{
    static const char hashed[] = "a7136eb1f46c9ef18c5e78c36ca257067c69b3d518285f0b18a96c33beae9acc";
    char key[DIALBACK_KEY_BYTES];
    (void)state;
    dialback_key_from(hashed, "montague.example", "capulet.example", "D60000229F", key);
    assert_string_equal(key, "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3");
}

/* Nothing of what a key is made from may be another. */
static void is_good_for_one_stream_and_pair(void **state)
{
    struct backend backend = {.secret = "a secret"}, other = {.secret = "another"};
    char key[DIALBACK_KEY_BYTES];
    (void)state;
    dialback_key(&backend, "b.test", "a.test", "id", key);
    assert_true(dialback_key_is_ours(&backend, "b.test", "a.test", "id", key));
    assert_false(dialback_key_is_ours(&other, "b.test", "a.test", "id", key));
    assert_false(dialback_key_is_ours(&backend, "c.test", "a.test", "id", key));
    assert_false(dialback_key_is_ours(&backend, "b.test", "c.test", "id", key));
    assert_false(dialback_key_is_ours(&backend, "a.test", "b.test", "id", key));
    assert_false(dialback_key_is_ours(&backend, "b.test", "a.test", "ie", key));
    assert_false(dialback_key_is_ours(&backend, "b.test", "a.test", "id", ""));
    key[DIALBACK_KEY_BYTES - 2] ^= 1;
    assert_false(dialback_key_is_ours(&backend, "b.test", "a.test", "id", key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_in_the_specification),
        cmocka_unit_test(is_good_for_one_stream_and_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
