#include "gateway/pattern.h"

#include "gateway/exec_seal.h"
#include "gateway/pattern_check.h"
#include "lib/log.h"
#include "lib/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
    MATCH_LIMIT = 100000, /* steps; more than peek-limit can have bytes */
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT_KIB = 2048,
    NAME_MAX_BYTES = 63,
};

struct pattern {
    const char *name; /* the section's title; borrowed from the file */
    pcre2_code *code;
    bool warned; /* in this process */
};

struct pattern_set {
    size_t count;
    struct pattern *items;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    bool has_code; /* some pattern is machine code */
};

static int check_name(const struct option_section *section, char *error, size_t cap)
{
    const char *name = option_title(section);
    if (strlen(name) > NAME_MAX_BYTES)
        return option_error(section, NULL, error, cap, "expected a name of at most %d bytes", NAME_MAX_BYTES);
    if (probe_find(name) < 0) return 0;
    return option_error(section, NULL, error, cap, "expected another name: \"%s\" is a protocol already", name);
}

static int compile(struct pattern *pattern, const struct option_section *section, char *error, size_t cap)
{
    /* Bytes, not characters.  "$" is the very end, and "^" holds behind a newline even where the bytes end. */
    static const uint32_t OPTIONS =
        PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    const char *regex = option_str(section, "regex");
    if (regex == NULL || regex[0] == '\0')
        return option_error(section, "regex", error, cap, "expected a regular expression such as '^\\x16\\x03'");
    int code = 0;
    PCRE2_SIZE at = 0;
    pattern->name = option_title(section);
    pattern->code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, OPTIONS, &code, &at, NULL);
    if (pattern->code == NULL) {
        char why[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        return option_error(section, "regex", error, cap,
                            "expected a regular expression of PCRE2, but at offset %zu: %s", (size_t)at, why);
    }
    size_t offset = 0;
    const char *why = pattern_check(regex, &offset);
    if (why == NULL) return 0;
    return option_error(section, "regex", error, cap, "at offset %zu: %s", offset, why);
}

static int compile_all(struct pattern_set *set, const struct option_file *file, char *error, size_t cap)
{
    for (const struct option_section *s = option_next(file, "pattern", NULL); s != NULL;
         s = option_next(file, "pattern", s)) {
        if (check_name(s, error, cap) < 0) return -1;
        if (PROBE_COUNT + set->count == PROBE_MAX)
            return option_error(s, NULL, error, cap, "expected at most %zu patterns", PROBE_MAX - PROBE_COUNT);
        if (compile(&set->items[set->count++], s, error, cap) < 0) return -1;
    }
    return 0;
}

static void seal(void)
{
    if (exec_seal_close() < 0) log_msg(LOG_LEVEL_WARN, "pattern_writable", "the code of patterns stays writable");
}

/* Where the system does not let a process make code (MemoryDenyWriteExecute), PCRE2 interprets the patterns. */
static void compile_to_code(struct pattern_set *set)
{
    if (set->count == 0 || exec_seal_open() < 0) return;
    bool all = true;
    for (size_t i = 0; i < set->count; i++) {
        bool done = pcre2_jit_compile(set->items[i].code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0;
        set->has_code |= done;
        all &= done;
    }
    if (!all) log_msg(LOG_LEVEL_INFO, "pattern_interpreted", "not all patterns could be made machine code");
    seal();
}

struct pattern_set *pattern_set_new(const struct option_file *file, char *error, size_t cap)
{
    struct pattern_set *set = MEM_NEW(struct pattern_set);
    set->items = mem_alloc(PROBE_MAX * sizeof(*set->items));
    set->data = pcre2_match_data_create(1, NULL);
    set->limits = pcre2_match_context_create(NULL);
    CHECK(set->data != NULL && set->limits != NULL);
    pcre2_set_match_limit(set->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(set->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(set->limits, HEAP_LIMIT_KIB);
    if (compile_all(set, file, error, cap) < 0)
        pattern_set_free(&set);
    else
        compile_to_code(set);
    return set;
}

void pattern_set_free(struct pattern_set **set)
{
    struct pattern_set *old = *set;
    if (old == NULL) return;
    *set = NULL;
    /* In its sandbox a worker cannot open the seal: the code goes with the process. */
    bool sealed = old->has_code && exec_seal_open() < 0;
    for (size_t i = 0; i < old->count && !sealed; i++)
        pcre2_code_free(old->items[i].code);
    if (old->has_code && !sealed) seal();
    pcre2_match_data_free(old->data);
    pcre2_match_context_free(old->limits);
    free(old->items);
    free(old);
}

size_t pattern_count(const struct pattern_set *set)
{
    return set->count;
}

const char *pattern_name(const struct pattern_set *set, size_t index)
{
    CHECK(index < set->count);
    return set->items[index].name;
}

int pattern_find(const struct pattern_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i].name, name) == 0) return (int)i;
    }
    return -1;
}

static enum probe_verdict give_up(struct pattern *pattern, struct sight *sight, int code)
{
    sight->pattern_limits++;
    if (pattern->warned) return PROBE_NO;
    pattern->warned = true;
    char why[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
    log_msg(LOG_LEVEL_WARN, "pattern_limit", "pattern \"%s\": %s; counted and taken as no match", pattern->name, why);
    return PROBE_NO;
}

enum probe_verdict pattern_look(struct pattern_set *set, size_t index, struct sight *sight)
{
    CHECK(index < set->count);
    struct pattern *pattern = &set->items[index];
    if (sight->len == 0) return sight->final ? PROBE_NO : PROBE_MORE;
    /* What a partial search decides stands, whatever may come.  Only when it asks for a byte and none will be looked
     * at, the end of the bytes counts as the end. */
    int code = pcre2_match(pattern->code, sight->data, sight->len, 0, PCRE2_PARTIAL_HARD, set->data, set->limits);
    if (code == PCRE2_ERROR_PARTIAL && sight->final)
        code = pcre2_match(pattern->code, sight->data, sight->len, 0, 0, set->data, set->limits);
    if (code >= 0) return PROBE_MATCH;
    if (code == PCRE2_ERROR_PARTIAL) return PROBE_MORE;
    return code == PCRE2_ERROR_NOMATCH ? PROBE_NO : give_up(pattern, sight, code);
}
