#include "backend/export_user.h"

#include "backend/delay.h"
#include "backend/elem_parse.h"
#include "backend/ns.h"
#include "backend/pie_keys.h"
#include "backend/roster.h"

#include <stdlib.h>
#include <string.h>

/* How the records of a kind stand in a user: each as it is, or in an element around all of them. */
static const struct {
    const char *ns, *name; /* NULL: each as it is */
} AROUND[STORE_KINDS] = {
    [STORE_ROSTER] = {NS_ROSTER, "query"},     [STORE_PRIVATE] = {NS_PRIVATE, "query"},
    [STORE_PRIVACY] = {NS_PRIVACY, "query"},   [STORE_BLOCKED] = {NS_BLOCKING, "blocklist"},
    [STORE_SETTING] = {NS_PIE_OWN, "account"},
};

bool export_user_message(const struct store_account *account, const struct store_entry *entry, struct xml **parser,
                         struct buf *out)
{
    struct elem *message = elem_parse(parser, entry->text, entry->len);
    if (!message) return false;
    delay_add(message, account->domain, entry->stamp_ms);
    elem_print(message, NS_PIE, out);
    buf_append_str(out, "\n");
    elem_free(&message);
    return true;
}

static void add(struct elem *to, const struct store_record *record, struct elem *value)
{
    if (record->kind == STORE_ROSTER) {
        struct roster_item *item = *record->key ? roster_item_read(record->key, value) : NULL;
        if (item && (item->flags & ROSTER_LISTED)) roster_item_add(item, to);
        free(item);
    } else if (record->kind == STORE_SETTING) {
        struct elem *setting = elem_add(to, NULL, "setting");
        elem_set(setting, "name", record->key);
        elem_add_copy(setting, value);
    } else {
        elem_add_copy(to, value);
    }
}

static struct elem *part_of(struct elem *user, enum store_kind kind)
{
    if (!AROUND[kind].ns) return user;
    struct elem *part = elem_child(user, AROUND[kind].ns, AROUND[kind].name);
    return part ? part : elem_add(user, AROUND[kind].ns, AROUND[kind].name);
}

size_t export_user_parts(const struct store_account *account, const struct store_record *records, size_t count,
                         struct xml **parser, struct buf *out)
{
    struct elem *user = elem_new(arena_new(), NS_PIE, "user");
    size_t unreadable = 0;
    pie_keys_add(user, account->keys);
    if (account->disabled) elem_set(part_of(user, STORE_SETTING), "disabled", "true");
    for (size_t i = 0; i < count; i++) {
        struct elem *value = elem_parse(parser, records[i].value, strlen(records[i].value));
        if (value) {
            add(part_of(user, records[i].kind), &records[i], value);
            elem_free(&value);
        } else {
            unreadable++;
        }
    }
    for (const struct elem *part = elem_child(user, NULL, NULL); part; part = elem_next_element(part)) {
        elem_print(part, NS_PIE, out);
        buf_append_str(out, "\n");
    }
    elem_free(&user);
    return unreadable;
}
