#include "gateway/regex.h"

#include "gateway/exec_seal.h"
#include "gateway/pattern_check.h"
#include "lib/log.h"
#include "lib/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MATCH_LIMIT = 100000, /* steps; more than peek-limit can have bytes */
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT_KIB = 2048,
};

struct regex {
    char *text, *label;
    pcre2_code *code;
    bool tried;  /* to make machine code of it */
    bool warned; /* in this process */
};

struct regex_set {
    size_t count;
    struct regex *items;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    bool has_code; /* some expression is machine code */
};

struct regex_set *regex_set_new(void)
{
    struct regex_set *set = MEM_NEW(struct regex_set);
    set->data = pcre2_match_data_create(1, NULL);
    set->limits = pcre2_match_context_create(NULL);
    CHECK(set->data != NULL && set->limits != NULL);
    pcre2_set_match_limit(set->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(set->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(set->limits, HEAP_LIMIT_KIB);
    return set;
}

static void seal(void)
{
    if (exec_seal_close() < 0) log_msg(LOG_LEVEL_WARN, "pattern_writable", "the code of patterns stays writable");
}

void regex_set_free(struct regex_set **set)
{
    struct regex_set *old = *set;
    if (old == NULL) return;
    *set = NULL;
    /* In its sandbox a worker cannot open the seal: the code goes with the process. */
    bool sealed = old->has_code && exec_seal_open() < 0;
    for (size_t i = 0; i < old->count; i++) {
        if (!sealed) pcre2_code_free(old->items[i].code);
        free(old->items[i].text);
        free(old->items[i].label);
    }
    if (old->has_code && !sealed) seal();
    pcre2_match_data_free(old->data);
    pcre2_match_context_free(old->limits);
    free(old->items);
    free(old);
}

static pcre2_code *compile(const char *text, enum regex_kind kind, char *why, size_t cap)
{
    /* Bytes, not characters.  "$" is the very end, and "^" holds behind a newline even where the bytes end. */
    static const uint32_t COMMON = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    uint32_t options = COMMON | (kind == REGEX_NAME ? PCRE2_CASELESS : PCRE2_ANCHORED | PCRE2_ALT_CIRCUMFLEX);
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
    if (compiled != NULL) return compiled;
    char message[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
    snprintf(why, cap, "expected a regular expression of PCRE2, but at offset %zu: %s", (size_t)at, message);
    return NULL;
}

int regex_add(struct regex_set *set, const char *text, enum regex_kind kind, const char *label, char *why, size_t cap)
{
    pcre2_code *code = compile(text, kind, why, cap);
    if (code == NULL) return -1;
    size_t offset = 0;
    const char *wrong = kind == REGEX_FIRST_BYTES ? pattern_check(text, &offset) : NULL;
    if (wrong != NULL) {
        pcre2_code_free(code);
        snprintf(why, cap, "at offset %zu: %s", offset, wrong);
        return -1;
    }
    set->items = mem_realloc(set->items, (set->count + 1) * sizeof(*set->items));
    set->items[set->count] = (struct regex){.text = mem_strdup(text), .label = mem_strdup(label), .code = code};
    return (int)set->count++;
}

/* Where the system does not let a process make code (MemoryDenyWriteExecute), PCRE2 interprets the expressions. */
void regex_set_code(struct regex_set *set)
{
    bool all = true;
    if (set->count == 0 || set->items[set->count - 1].tried || exec_seal_open() < 0) return;
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i].tried) continue;
        bool done = pcre2_jit_compile(set->items[i].code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0;
        set->items[i].tried = true;
        set->has_code |= done;
        all &= done;
    }
    if (!all) log_msg(LOG_LEVEL_INFO, "pattern_interpreted", "not all patterns could be made machine code");
    seal();
}

const char *regex_text(const struct regex_set *set, size_t index)
{
    CHECK(index < set->count);
    return set->items[index].text;
}

static enum regex_verdict give_up(struct regex *regex, int code)
{
    if (regex->warned) return REGEX_LIMIT;
    regex->warned = true;
    char why[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
    log_msg(LOG_LEVEL_WARN, "pattern_limit", "%s: %s; counted and taken as no match", regex->label, why);
    return REGEX_LIMIT;
}

enum regex_verdict regex_search(struct regex_set *set, size_t index, const uint8_t *data, size_t len, bool partial)
{
    CHECK(index < set->count);
    struct regex *regex = &set->items[index];
    int code = pcre2_match(regex->code, data, len, 0, partial ? PCRE2_PARTIAL_HARD : 0, set->data, set->limits);
    if (code >= 0) return REGEX_MATCH;
    if (code == PCRE2_ERROR_PARTIAL) return REGEX_MORE;
    return code == PCRE2_ERROR_NOMATCH ? REGEX_NO : give_up(regex, code);
}
