/* Any bytes: patterns, those of the recipes and ones that look around, back and far, must not depend on how bytes were
 * cut. */
#include "gateway/gateway_options.h"
#include "gateway/pattern.h"
#include "lib/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const EXPRESSIONS[] = {
    "^(?:\\x00[\\x0e-\\xff]\\x38|[\\x00-\\x04][\\x00-\\xff]\\x50)",
    "^\\x05[\\x01-\\x0a][\\x00-\\x0a]",
    "^\\x03\\x00[\\x00\\x01][\\x00-\\xff][\\x06-\\xfe]\\xe0\\x00\\x00",
    "^\\x10[\\x80-\\xff]{0,3}[\\x00-\\x7f]\\x00(?:\\x04MQTT[\\x04\\x05]|\\x06MQIsdp\\x03)",
    "^\\x00\\x00(?:[\\x00\\x01][\\x00-\\xff]\\x04\\xd2\\x16|[\\x00-\\x27][\\x00-\\xff]\\x00\\x03\\x00[\\x00\\x02])",
    "^<(?!html)(?=[a-z])",
    "^GET[^\\n]*\\n$",
    "[\\x00-\\xff]{9,}?\\x00\\x23",
    "^(?:[SG]|[A-Z]|.)+!",
    "^(?:ab|a)*+b?c\\b",
    "^(?i)[a-z]+ (?:/[^ ]*|\\*) http/1\\.[01]\\r\\n",
};

static struct option_file *file;
static struct pattern_set *set;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char path[] = "/tmp/fuzz_pattern.XXXXXX", error[512] = "";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    for (size_t i = 0; i < ARRAY_LEN(EXPRESSIONS); i++)
        CHECK(dprintf(fd, "pattern \"p%zu\" { regex = '%s' }\n", i, EXPRESSIONS[i]) > 0);
    close(fd);
    file = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    CHECK(file != NULL);
    set = pattern_set_new(file, error, sizeof(error));
    CHECK(set != NULL && pattern_count(set) == ARRAY_LEN(EXPRESSIONS));
    log_set_level(LOG_LEVEL_ERROR); /* limits that are come to, which is no fault */
    return 0;
}

/* limited: a search came to a limit; its verdict may then be another one than with other bytes behind. */
static enum probe_verdict look(size_t index, const uint8_t *data, size_t len, bool final, bool *limited)
{
    struct sight sight = {.data = data, .len = len, .final = final};
    enum probe_verdict verdict = pattern_look(set, index, &sight);
    CHECK(!final || verdict != PROBE_MORE);
    CHECK(sight.pattern_limits == 0 || verdict == PROBE_NO);
    *limited |= sight.pattern_limits > 0;
    return verdict;
}

static void check_prefix(const uint8_t *data, size_t size, size_t len)
{
    /* A copy of its own size, so that the sanitizer sees a read beyond it. */
    uint8_t *prefix = malloc(len > 0 ? len : 1);
    CHECK(prefix != NULL);
    if (len > 0) memcpy(prefix, data, len);
    for (size_t i = 0; i < pattern_count(set); i++) {
        bool limited = false;
        enum probe_verdict cut = look(i, prefix, len, false, &limited);
        enum probe_verdict end = look(i, prefix, len, true, &limited), whole = look(i, data, size, false, &limited);
        CHECK(limited || cut == PROBE_MORE || (cut == whole && cut == end));
    }
    free(prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t len = 0; len < size && len < 24; len++)
        check_prefix(data, size, len);
    for (size_t i = 0; i < 4 && i < size; i++)
        check_prefix(data, size, (data[i] * (size_t)257 + data[size - 1 - i]) % size);
    check_prefix(data, size, size);
    return 0;
}
