/* A letter is read as it was written, and no byte of it can change without being noticed. */
#include "bench/backend/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct letter sent = {.number = 12345, .sender = 4999, .due_ns = 1234567890123456789};

static const char *read_back(struct text message, struct letter *letter)
{
    struct scan_element element;
    struct scan_stanza stanza;
    size_t used;
    if (scan_next(message, &element, &used) != SCAN_ELEMENT) return "not even an element";
    scan_stanza(element.tag, &stanza);
    return letter_read(message, &stanza, letter);
}

static void as_it_was_written(void **state)
{
    (void)state;
    char data[LETTER_MAX_BYTES + 64];
    for (uint32_t number = 0; number < 20; number++) {
        struct letter letter = sent, got;
        letter.number = number;
        struct text message = {data, letter_write(data, TEXT("user1@example.test/bench"), &letter)};
        assert_true(message.len < LETTER_MAX_BYTES);
        assert_null(read_back(message, &got));
        assert_int_equal(got.number, number);
        assert_int_equal(got.sender, sent.sender);
        assert_int_equal(got.due_ns, sent.due_ns);
    }
}

static void every_change_is_noticed(void **state)
{
    (void)state;
    static const char others[] = "0a \xff";
    char data[LETTER_MAX_BYTES + 64];
    struct letter got;
    struct text message = {data, letter_write(data, TEXT("user1@example.test/bench"), &sent)};
    char *from = memmem(data, message.len, "type=", 5), *to = memmem(data, message.len, "</body>", 7);
    char *tags = memmem(data, message.len, "><body>", 7);
    for (char *at = from; at < to; at++) {
        for (size_t i = 0; i < sizeof(others) - 1; i++) {
            char kept = *at;
            if (kept == others[i] || (at >= tags && at < tags + 7)) continue; /* scan.c is no parser */
            *at = others[i];
            assert_non_null(read_back(message, &got));
            *at = kept;
        }
    }
    assert_null(read_back(message, &got));
}

static void what_is_missing_is_noticed(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "<message type='chat' id='00000001'/>",
        "<message type='chat' id='00000001'><body></body></message>",
        "<message type='chat' id='00000001'><body>00000001 </body></message>",
        "<message type='error' id='00000001'><body>00000001</body></message>",
        "<message id='00000001'><body>00000001</body></message>",
    };
    struct letter got;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(read_back((struct text){wrong[i], strlen(wrong[i])}, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_was_written),
        cmocka_unit_test(every_change_is_noticed),
        cmocka_unit_test(what_is_missing_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
