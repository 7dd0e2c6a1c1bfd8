#include "bench/backend/scan.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The ">" of a tag; at: behind its "<".  NULL: not there yet. */
static const char *tag_end(const char *at, const char *end)
{
    while (at < end) {
        if (*at == '>') return at;
        if (*at == '"' || *at == '\'') {
            at = memchr(at + 1, *at, (size_t)(end - at - 1));
            if (at == NULL) return NULL;
        }
        at++;
    }
    return NULL;
}

/* The end of an element that begins at "<"; NULL: not there yet.  head: the ">" of its start tag. */
static const char *element_end(const char *at, const char *end, const char **head, bool *bad)
{
    int depth = 0;
    *head = NULL;
    for (;;) {
        if (end - at < 2) return NULL;
        bool closes = at[1] == '/';
        if (at[1] == '!' || at[1] == '?') *bad = true;
        const char *close = tag_end(at + 1, end);
        if (close == NULL || *bad) return NULL;
        if (*head == NULL) *head = close;
        if (closes)
            depth--;
        else if (close[-1] != '/')
            depth++;
        if (depth == 0) return close + 1;
        at = memchr(close, '<', (size_t)(end - close));
        if (at == NULL) return NULL;
    }
}

static struct text name_of(const char *at, const char *end)
{
    const char *stop = at;
    while (stop < end && !is_space(*stop) && *stop != '>' && *stop != '/')
        stop++;
    return (struct text){at, (size_t)(stop - at)};
}

enum scan_result scan_next(struct text in, struct scan_element *element, size_t *used)
{
    const char *at = in.at, *end = in.at + in.len;
    while (at < end && is_space(*at))
        at++;
    *used = (size_t)(at - in.at);
    if (end - at < 2) return at < end && *at != '<' ? SCAN_BAD : SCAN_MORE;
    if (*at != '<') return SCAN_BAD;
    if (at[1] == '?') { /* the XML declaration */
        const char *close = memmem(at, (size_t)(end - at), "?>", 2);
        if (close == NULL) return SCAN_MORE;
        size_t skipped;
        enum scan_result result = scan_next((struct text){close + 2, (size_t)(end - close - 2)}, element, &skipped);
        *used = (size_t)(close + 2 - in.at) + skipped;
        return result;
    }
    const char *close = tag_end(at + 1, end);
    if (close == NULL) return SCAN_MORE;
    element->name = name_of(at + 1 + (at[1] == '/'), close);
    element->tag = element->all = (struct text){at, (size_t)(close + 1 - at)};
    if (at[1] == '/' || text_is(element->name, TEXT("stream:stream"))) {
        *used = (size_t)(close + 1 - in.at);
        return at[1] == '/' ? SCAN_END : SCAN_HEADER;
    }
    bool bad = false;
    const char *stop = element_end(at, end, &close, &bad);
    if (stop == NULL) return bad ? SCAN_BAD : SCAN_MORE;
    element->all.len = (size_t)(stop - at);
    *used = (size_t)(stop - in.at);
    return SCAN_ELEMENT;
}

/* The next attribute of a tag, from *at on; false: no more. */
static bool next_attribute(const char **at, const char *end, struct text *name, struct text *value)
{
    const char *p = *at;
    while (p < end && is_space(*p))
        p++;
    const char *equals = memchr(p, '=', (size_t)(end - p));
    if (equals == NULL || end - equals < 2) return false;
    const char *close = memchr(equals + 2, equals[1], (size_t)(end - equals - 2));
    if (close == NULL) return false;
    *name = (struct text){p, (size_t)(equals - p)};
    *value = (struct text){equals + 2, (size_t)(close - equals - 2)};
    *at = close + 1;
    return true;
}

static const char *behind_name(struct text tag)
{
    struct text name = name_of(tag.at + 1, tag.at + tag.len);
    return name.at + name.len;
}

struct text scan_attribute(struct text tag, struct text wanted)
{
    struct text name, value;
    for (const char *at = behind_name(tag); next_attribute(&at, tag.at + tag.len, &name, &value);)
        if (text_is(name, wanted)) return value;
    return (struct text){NULL, 0};
}

void scan_stanza(struct text tag, struct scan_stanza *stanza)
{
    struct text name, value;
    *stanza = (struct scan_stanza){{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    for (const char *at = behind_name(tag); next_attribute(&at, tag.at + tag.len, &name, &value);) {
        if (text_is(name, TEXT("from"))) stanza->from = value;
        if (text_is(name, TEXT("to"))) stanza->to = value;
        if (text_is(name, TEXT("type"))) stanza->type = value;
        if (text_is(name, TEXT("id"))) stanza->id = value;
    }
}

struct text scan_inside(struct text in, struct text name)
{
    const char *at = in.at, *end = in.at + in.len;
    while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
        at++;
        if ((size_t)(end - at) <= name.len || at[name.len] != '>' || memcmp(at, name.at, name.len) != 0) continue;
        at += name.len + 1;
        const char *close = memchr(at, '<', (size_t)(end - at));
        if (close == NULL) break;
        return (struct text){at, (size_t)(close - at)};
    }
    return (struct text){NULL, 0};
}
