#include "ctl/lua_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 100 };

struct reader {
    struct arena *arena;
    const char *at, *end;
    unsigned line;
    const char *wrong; /* static; NULL: nothing */
};

static struct lua_value *read_value(struct reader *r, unsigned depth);

static bool fail(struct reader *r, const char *wrong)
{
    if (!r->wrong) r->wrong = wrong;
    return false;
}

/* The next byte; 0 at the end, and for a NUL, which has no place in any of this. */
static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : '\0';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void skip_white(struct reader *r)
{
    for (; r->at < r->end; r->at++) {
        if (*r->at == '\n') r->line++;
        if (r->end - r->at > 1 && r->at[0] == '-' && r->at[1] == '-') {
            const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
            r->at = end ? end : r->end;
            if (!end) return;
            r->line++;
        } else if (!strchr(" \t\r\n", *r->at) || *r->at == '\0') {
            return;
        }
    }
}

static bool take(struct reader *r, char c)
{
    skip_white(r);
    if (peek(r) != c || c == '\0') return false;
    r->at++;
    return true;
}

/* take_word - that word, and no longer one. */
static bool take_word(struct reader *r, const char *word)
{
    const size_t len = strlen(word);
    skip_white(r);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0) return false;
    if ((size_t)(r->end - r->at) > len && is_word(r->at[len])) return false;
    r->at += len;
    return true;
}

static struct lua_value *value_new(struct reader *r, enum lua_kind kind)
{
    struct lua_value *value = arena_alloc(r->arena, sizeof(*value));
    value->kind = kind;
    return value;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One to three digits behind a backslash; -1: too much for a byte. */
static int read_decimal(struct reader *r)
{
    int byte = 0;
    for (int i = 0; i < 3 && peek(r) >= '0' && peek(r) <= '9'; i++)
        byte = byte * 10 + (*r->at++ - '0');
    return byte < 256 ? byte : -1;
}

static int read_hex(struct reader *r)
{
    int byte = 0;
    for (int i = 0; i < 2; i++) {
        const int digit = hex_digit(peek(r));
        if (digit < 0) return -1;
        byte = byte * 16 + digit;
        r->at++;
    }
    return byte;
}

/* What follows a backslash: a byte, or -1. */
static int read_escape(struct reader *r)
{
    static const char NAMES[] = "abfnrtv\\\"'", BYTES[] = "\a\b\f\n\r\t\v\\\"'";
    const char c = peek(r);
    if (c >= '0' && c <= '9') return read_decimal(r);
    if (c == '\0') return -1;
    r->at++;
    if (c == 'x') return read_hex(r);
    if (c == '\n') {
        r->line++;
        return '\n';
    }
    const char *found = strchr(NAMES, c);
    return found ? (unsigned char)BYTES[found - NAMES] : -1;
}

static struct lua_value *read_string(struct reader *r)
{
    const char quote = *r->at++;
    const char *scan = r->at;
    while (scan < r->end && *scan != quote && *scan != '\n')
        scan += *scan == '\\' && r->end - scan > 1 ? 2 : 1;
    if (scan == r->end) {
        fail(r, "a string has no end");
        return NULL;
    }
    struct lua_value *value = value_new(r, LUA_STRING);
    char *out = arena_alloc(r->arena, (size_t)(scan - r->at) + 1);
    value->text = out;
    while (r->at < scan && !r->wrong) {
        int byte = (unsigned char)*r->at++;
        if (byte == '\\') byte = read_escape(r);
        if (byte < 0) fail(r, "a backslash in a string is followed by something that it may not");
        out[value->len++] = (char)byte;
    }
    if (!r->wrong && peek(r) != quote) fail(r, "a string has no end on its line");
    if (r->wrong) return NULL;
    r->at++;
    return value;
}

static struct lua_value *read_number(struct reader *r)
{
    char text[64];
    size_t len = 0;
    while (len < sizeof(text) - 1 && r->at + len < r->end &&
           (is_word(r->at[len]) || strchr("+-.", r->at[len]) != NULL) && r->at[len] != '\0')
        len++;
    memcpy(text, r->at, len);
    text[len] = '\0';
    char *end = text;
    struct lua_value *value = value_new(r, LUA_NUMBER);
    /* strtod would take "inf" and "nan" as well */
    if (text[strspn(text, "0123456789+-.eExXabcdefABCDEFpP")] == '\0') value->number = strtod(text, &end);
    if (len == 0 || *end != '\0') {
        fail(r, "expected a constant or a table");
        return NULL;
    }
    r->at += len;
    return value;
}

/* How Prosody writes what is no number: (1/0), (-1/0), (0/0). */
static struct lua_value *read_infinite(struct reader *r)
{
    static const char *const FORMS[] = {"(1/0)", "(-1/0)", "(0/0)"};
    for (size_t i = 0; i < ARRAY_LEN(FORMS); i++) {
        const size_t len = strlen(FORMS[i]);
        if ((size_t)(r->end - r->at) < len || memcmp(r->at, FORMS[i], len) != 0) continue;
        r->at += len;
        return value_new(r, LUA_NUMBER);
    }
    fail(r, "expected a constant or a table");
    return NULL;
}

/* The name of a field as "name = ", or NULL. */
static struct lua_value *read_name(struct reader *r)
{
    const char *scan = r->at;
    while (scan < r->end && is_word(*scan))
        scan++;
    const size_t len = (size_t)(scan - r->at);
    struct reader ahead = *r;
    ahead.at = scan;
    if (len == 0 || (*r->at >= '0' && *r->at <= '9') || !take(&ahead, '=') || peek(&ahead) == '=') return NULL;
    struct lua_value *name = value_new(r, LUA_STRING);
    name->text = arena_strndup(r->arena, r->at, len);
    name->len = len;
    r->at = ahead.at;
    r->line = ahead.line;
    return name;
}

static struct lua_value *read_key(struct reader *r, unsigned depth)
{
    struct lua_value *key = NULL;
    if (!take(r, '[')) return read_name(r);
    key = read_value(r, depth);
    if (key && (!take(r, ']') || !take(r, '='))) fail(r, "expected ] = behind the key of a field");
    if (key && (key->kind == LUA_NIL || key->kind == LUA_TABLE)) fail(r, "that may not be a key");
    return r->wrong ? NULL : key;
}

static bool read_field(struct reader *r, struct lua_value *table, unsigned depth)
{
    struct lua_field *field = arena_alloc(r->arena, sizeof(*field));
    skip_white(r);
    field->key = read_key(r, depth);
    if (!field->key) {
        field->key = value_new(r, LUA_NUMBER);
        field->key->number = (double)++table->items;
    }
    field->value = r->wrong ? NULL : read_value(r, depth);
    if (!field->value) return false;
    if (table->last) {
        table->last->next = field;
    } else {
        table->fields = field;
    }
    table->last = field;
    return true;
}

static struct lua_value *read_table(struct reader *r, unsigned depth)
{
    struct lua_value *table = value_new(r, LUA_TABLE);
    r->at++;
    while (!take(r, '}')) {
        if (!read_field(r, table, depth)) return NULL;
        if (take(r, ',') || take(r, ';')) continue;
        skip_white(r);
        if (peek(r) == '}') continue;
        fail(r, "expected a comma or the end of a table");
        return NULL;
    }
    return table;
}

static struct lua_value *read_value(struct reader *r, unsigned depth)
{
    struct lua_value *value = NULL;
    skip_white(r);
    const char c = peek(r);
    if (depth == DEPTH_MAX) {
        fail(r, "tables are too deep in each other");
    } else if (c == '{') {
        value = read_table(r, depth + 1);
    } else if (c == '"' || c == '\'') {
        value = read_string(r);
    } else if (c == '(') {
        value = read_infinite(r);
    } else if (take_word(r, "nil")) {
        value = value_new(r, LUA_NIL);
    } else if (take_word(r, "true")) {
        value = value_new(r, LUA_BOOLEAN);
        value->boolean = true;
    } else if (take_word(r, "false")) {
        value = value_new(r, LUA_BOOLEAN);
    } else {
        value = read_number(r);
    }
    return r->wrong ? NULL : value;
}

static struct lua_value *read_items(struct reader *r)
{
    struct lua_value *table = value_new(r, LUA_TABLE);
    while (take_word(r, "item")) {
        if (!take(r, '(') || !read_field(r, table, 0) || !take(r, ')')) {
            fail(r, "expected item(VALUE);");
            return NULL;
        }
        (void)take(r, ';');
    }
    return table;
}

struct lua_value *lua_table_read(struct arena *arena, const char *text, size_t len, char *why, size_t cap)
{
    struct reader r = {.arena = arena, .at = text, .end = text + len, .line = 1};
    struct lua_value *value = NULL;
    if (take_word(&r, "return")) {
        value = read_value(&r, 0);
        (void)take(&r, ';');
    } else {
        value = read_items(&r);
    }
    skip_white(&r);
    if (!r.wrong && r.at < r.end) fail(&r, "expected the end of the file, or item(VALUE);");
    if (!r.wrong) return value;
    snprintf(why, cap, "%u: %s", r.line, r.wrong);
    return NULL;
}

const struct lua_value *lua_table_get(const struct lua_value *table, const char *key)
{
    const struct lua_value *found = NULL;
    const size_t len = strlen(key);
    if (!table || table->kind != LUA_TABLE) return NULL;
    for (const struct lua_field *f = table->fields; f; f = f->next)
        if (f->key->kind == LUA_STRING && f->key->len == len && memcmp(f->key->text, key, len) == 0) found = f->value;
    return found;
}

const char *lua_table_string(const struct lua_value *table, const char *key)
{
    const struct lua_value *value = lua_table_get(table, key);
    if (!value || value->kind != LUA_STRING || strlen(value->text) != value->len) return NULL;
    return value->text;
}
