#include "gateway/pattern.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 63 };

struct pattern {
    const char *name; /* the section's title; borrowed from the file */
    size_t regex;     /* index */
};

struct pattern_set {
    struct regex_set *regexes; /* of the patterns, and those that others add */
    size_t count;
    struct pattern items[PROBE_MAX];
};

static int check_name(const struct option_section *section, char *error, size_t cap)
{
    const char *name = option_title(section);
    if (strlen(name) > NAME_MAX_BYTES)
        return option_error(section, NULL, error, cap, "expected a name of at most %d bytes", NAME_MAX_BYTES);
    if (probe_find(name) < 0) return 0;
    return option_error(section, NULL, error, cap, "expected another name: \"%s\" is a protocol already", name);
}

static int add(struct pattern_set *set, const struct option_section *section, char *error, size_t cap)
{
    char why[256], label[80];
    const char *text = option_str(section, "regex");
    if (text == NULL || text[0] == '\0')
        return option_error(section, "regex", error, cap, "expected a regular expression such as '^\\x16\\x03'");
    snprintf(label, sizeof(label), "pattern \"%s\"", option_title(section));
    int index = regex_add(set->regexes, text, REGEX_FIRST_BYTES, label, why, sizeof(why));
    if (index < 0) return option_error(section, "regex", error, cap, "%s", why);
    set->items[set->count++] = (struct pattern){option_title(section), (size_t)index};
    return 0;
}

static int add_all(struct pattern_set *set, const struct option_file *file, char *error, size_t cap)
{
    for (const struct option_section *s = option_next(file, "pattern", NULL); s != NULL;
         s = option_next(file, "pattern", s)) {
        if (check_name(s, error, cap) < 0) return -1;
        if (PROBE_COUNT + set->count == PROBE_MAX)
            return option_error(s, NULL, error, cap, "expected at most %zu patterns", PROBE_MAX - PROBE_COUNT);
        if (add(set, s, error, cap) < 0) return -1;
    }
    return 0;
}

struct pattern_set *pattern_set_new(const struct option_file *file, char *error, size_t cap)
{
    struct pattern_set *set = MEM_NEW(struct pattern_set);
    set->regexes = regex_set_new();
    if (add_all(set, file, error, cap) < 0)
        pattern_set_free(&set);
    else
        regex_set_code(set->regexes);
    return set;
}

void pattern_set_free(struct pattern_set **set)
{
    struct pattern_set *old = *set;
    if (old == NULL) return;
    *set = NULL;
    regex_set_free(&old->regexes);
    free(old);
}

struct regex_set *pattern_regexes(const struct pattern_set *set)
{
    return set->regexes;
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

enum probe_verdict pattern_look(struct pattern_set *set, size_t index, struct sight *sight)
{
    CHECK(index < set->count);
    size_t regex = set->items[index].regex;
    if (sight->len == 0) return sight->final ? PROBE_NO : PROBE_MORE;
    /* What a partial search decides stands, whatever may come.  Only when it asks for a byte and none will be looked
     * at, the end of the bytes counts as the end. */
    enum regex_verdict verdict = regex_search(set->regexes, regex, sight->data, sight->len, true);
    if (verdict == REGEX_MORE && sight->final)
        verdict = regex_search(set->regexes, regex, sight->data, sight->len, false);
    if (verdict == REGEX_LIMIT) sight->pattern_limits++;
    if (verdict == REGEX_MORE) return PROBE_MORE;
    return verdict == REGEX_MATCH ? PROBE_MATCH : PROBE_NO;
}
