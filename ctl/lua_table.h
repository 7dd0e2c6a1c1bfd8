/* lua_table - reads what Prosody's internal storage writes: Lua constants, and constructors of tables of them.
 *
 * Nothing is ever executed.  Read are "return VALUE;" and a list of "item(VALUE);", with comments; of Lua's expressions
 * only constants.  Source: Lua 5.4 reference manual, sections 3.1 and 3.4.9. */
#ifndef POSTERN_CTL_LUA_TABLE_H
#define POSTERN_CTL_LUA_TABLE_H

#include "lib/check.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>

enum lua_kind { LUA_NIL, LUA_BOOLEAN, LUA_NUMBER, LUA_STRING, LUA_TABLE };

/* One field of a table; an item of its list has the key that Lua gives it, 1, 2, … */
struct lua_field {
    struct lua_field *next;
    struct lua_value *key, *value;
};

struct lua_value {
    enum lua_kind kind;
    bool boolean;
    double number;
    const char *text; /* of a string: NUL-terminated, but any byte may be in it */
    size_t len;
    struct lua_field *fields, *last; /* of a table, in the order of the file */
    size_t items;                    /* of its list */
};

/* lua_table_read - the value of a text (all in the arena); of a list of items a table of them.  NULL and a message with
 * the line in why: it is nothing that Prosody writes. */
MUSTCHECK struct lua_value *lua_table_read(struct arena *arena, const char *text, size_t len, char *why, size_t cap);

/* lua_table_get - the value of the last field with that string as its key; NULL: none, or not a table. */
const struct lua_value *lua_table_get(const struct lua_value *table, const char *key);
/* lua_table_string - the same, when it is a string without a NUL; NULL: it is not. */
const char *lua_table_string(const struct lua_value *table, const char *key);

#endif
