#include "gateway/pattern_check.h"

#include <stdbool.h>
#include <string.h>

/* All of these but comments were found by comparing verdicts for prefixes: PCRE2 10.42 goes astray in each.  In a
 * comment everything else means nothing, so that one could hide the others from us. */
static const char NO_NEWLINES[] = "\\R is not possible here: write \\r?\\n or \\r\\n";
static const char NO_DOTALL[] = "(?s) is not possible here: write [\\x00-\\xff] for any byte";
static const char NO_VERBS[] = "(*...) is not possible here";
static const char NO_COMMENTS[] = "(?x) and (?#...) are not possible here: write comments outside of the expression";
static const char NO_SINGLE_UNIT[] = "\\C is not possible here: write [\\x00-\\xff] for any byte";

/* The last byte of the quotation that begins with "\Q" at at. */
static const char *skip_quoted(const char *at)
{
    const char *end = strstr(at, "\\E");
    return end != NULL ? end + 1 : at + strlen(at) - 1;
}

/* The end of a class that starts at at; a bracket expression such as [:alpha:] and quoting may stand in it. */
static const char *skip_class(const char *at)
{
    at++;
    if (*at == '^') at++;
    if (*at == ']') at++;
    while (*at != '\0' && *at != ']') {
        const char *end = NULL;
        if (at[0] == '[' && at[1] == ':') end = strstr(at + 2, ":]");
        if (end != NULL)
            at = end + 2;
        else if (at[0] == '\\' && at[1] == 'Q')
            at = skip_quoted(at) + 1;
        else
            at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    }
    return at;
}

/* Whether "(?" begins a setting of options, or a group with them, that has this one. */
static bool sets(const char *at, char option)
{
    size_t len = strspn(at + 2, "imnsxJU^-");
    char after = at[2 + len];
    return (after == ')' || after == ':') && memchr(at + 2, option, len) != NULL;
}

static const char *check_escape(const char **at)
{
    char what = (*at)[1];
    if (what == 'R') return NO_NEWLINES;
    if (what == 'C') return NO_SINGLE_UNIT;
    *at = what == 'Q' ? skip_quoted(*at) : *at + 1;
    return NULL;
}

const char *pattern_check(const char *regex, size_t *offset)
{
    for (const char *at = regex; *at != '\0'; at++) {
        const char *why = NULL;
        const char *start = at;
        if (at[0] == '\\' && at[1] != '\0')
            why = check_escape(&at);
        else if (at[0] == '[')
            at = skip_class(at);
        else if (at[0] == '(' && at[1] == '*')
            why = NO_VERBS;
        else if (at[0] == '(' && at[1] == '?' && sets(at, 's'))
            why = NO_DOTALL;
        else if (at[0] == '(' && at[1] == '?' && (at[2] == '#' || sets(at, 'x')))
            why = NO_COMMENTS;
        *offset = (size_t)(start - regex);
        if (why != NULL) return why;
        if (*at == '\0') break;
    }
    return NULL;
}
