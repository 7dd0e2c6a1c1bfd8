/* What is read as Prosody's data can be walked through, and strings are what their length says. */
#include "ctl/lua_table.h"
#include "ctl/prosody_xml.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct lua_value *value)
{
    if (value->kind == LUA_STRING) CHECK(value->text && value->text[value->len] == '\0');
    for (const struct lua_field *f = value->fields; f; f = f->next) {
        CHECK(f->key->kind != LUA_NIL && f->key->kind != LUA_TABLE);
        walk(f->value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct prosody_xml_change CHANGE = {.ns = "jabber:client", .from = "example.test"};
    char why[256] = "";
    const char *wrong = NULL;
    struct arena *arena = arena_new();
    const struct lua_value *value = lua_table_read(arena, (const char *)data, size, why, sizeof(why));
    CHECK(value != NULL || why[0] != '\0');
    if (value) {
        struct buf out = {0};
        walk(value);
        (void)lua_table_string(value, "name");
        if (prosody_xml_element(&out, value, &CHANGE, &wrong) != 0) CHECK(wrong != NULL);
        buf_free(&out);
    }
    arena_free(&arena);
    return 0;
}
