#include "backend/import_user.h"

#include "backend/elem_parse.h"
#include "backend/import_parts.h"
#include "backend/ns.h"
#include "backend/pie_keys.h"
#include "backend/scram.h"

#include <stdlib.h>
#include <string.h>

/* The parts of a user that mean something here. */
static const struct {
    const char *ns, *name;
    void (*read)(struct import_user *user, const struct elem *part);
} PARTS[] = {
    {NS_PIE, "offline-messages", import_messages},
    {NS_PIE_EARLY, "offline-messages", import_messages},
    {NS_PIE_SCRAM, "scram-credentials", import_keys},
    {NS_PRIVATE, "query", import_private},
    {NS_VCARD, "vCard", import_vcard},
    {NS_PRIVACY, "query", import_privacy},
    {NS_BLOCKING, "blocklist", import_blocklist},
    {NS_LAST, "query", import_last},
    {NS_PIE_OWN, "account", import_own},
};

void import_user_note(struct import_user *user, const char *fmt, ...)
{
    va_list args;
    char *about = mem_asprintf(*user->place ? "%s (%s)" : "%s", user->jid->bare, user->place);
    va_start(args, fmt);
    import_report_note(user->report, about, fmt, args);
    va_end(args);
    free(about);
    user->counts[IMPORT_LEFT_OUT]++;
}

/* In a text that is read again one day there is nothing that our own parser refuses. */
static char *print(struct import_user *user, const struct elem *elem)
{
    struct buf text = {0};
    elem_print(elem, NS_CLIENT, &text);
    char *copy = arena_strndup(user->arena, (const char *)buf_data(&text), buf_len(&text));
    buf_free(&text);
    struct elem *again = elem_parse(user->parser, copy, strlen(copy));
    if (!again) return NULL;
    elem_free(&again);
    return copy;
}

bool import_user_text(struct import_user *user, enum store_kind kind, const char *key, const char *value)
{
    if (strlen(key) > STORE_KEY_TEXT_MAX_BYTES) return false;
    if (user->record_count == user->record_cap) {
        user->record_cap = user->record_cap ? 2 * user->record_cap : 16;
        user->records = mem_realloc(user->records, user->record_cap * sizeof(*user->records));
    }
    user->records[user->record_count++] = (struct store_record){
        .kind = kind, .key = arena_strdup(user->arena, key), .value = arena_strdup(user->arena, value)};
    return true;
}

bool import_user_record(struct import_user *user, enum store_kind kind, const char *key, const struct elem *value)
{
    const char *text = print(user, value);
    return text && import_user_text(user, kind, key, text);
}

void import_user_entry(struct import_user *user, int64_t stamp_ms, const struct elem *message)
{
    const char *text = print(user, message);
    if (!text) {
        import_user_note(user, "an offline message is too large or too deep");
        return;
    }
    if (user->entry_count == user->entry_cap) {
        user->entry_cap = user->entry_cap ? 2 * user->entry_cap : 16;
        user->entries = mem_realloc(user->entries, user->entry_cap * sizeof(*user->entries));
    }
    user->entries[user->entry_count++] = (struct store_entry){.stamp_ms = stamp_ms, .text = text, .len = strlen(text)};
    user->counts[IMPORT_MESSAGES]++;
}

void import_keys(struct import_user *user, const struct elem *part)
{
    const char *why = NULL;
    if (pie_keys_read(part, user->account.keys, &why) != 0) import_user_note(user, "SCRAM credentials: %s", why);
}

/* What XEP-0227 has no word for, from an export of ours. */
void import_own(struct import_user *user, const struct elem *part)
{
    const char *disabled = elem_get(part, "disabled");
    user->account.disabled = disabled && strcmp(disabled, "true") == 0;
    for (const struct elem *one = elem_child(part, NULL, NULL); one; one = elem_next_element(one)) {
        const char *name = elem_get(one, "name");
        const struct elem *value = elem_child(one, NULL, NULL);
        if (!elem_is(one, NS_PIE_OWN, "setting") || !name || !value ||
            !import_user_record(user, STORE_SETTING, name, value))
            import_user_note(user, "a setting cannot be read");
    }
}

static void read_part(struct import_user *user, const struct elem *part)
{
    for (size_t i = 0; i < ARRAY_LEN(PARTS); i++) {
        if (!elem_is(part, PARTS[i].ns, PARTS[i].name)) continue;
        PARTS[i].read(user, part);
        return;
    }
    if (elem_is(part, NS_ROSTER, "query") || elem_is(part, NS_CLIENT, "presence")) return; /* see import_roster */
    import_user_note(user, "<%s xmlns='%s'/> is nothing that this server keeps", part->name, part->ns);
}

static bool has_keys(const struct store_account *account)
{
    for (int hash = 0; hash < STORE_HASHES; hash++)
        if (account->keys[hash].key_len > 0) return true;
    return false;
}

/* Hashed as they are, if they are. */
static void read_password(struct import_user *user, const struct elem *elem)
{
    const char *password = elem_get(elem, "password");
    if (has_keys(&user->account)) return;
    if (!password || *password == '\0') {
        import_user_note(user, "there is no password: nobody can log in until it is given one");
    } else if (scram_prepare_password(password, user->password, sizeof(user->password)) != 0) {
        user->password[0] = '\0';
        import_user_note(user, "the password is too long, or has characters that are not allowed: nobody can log in "
                               "until it is given another one");
    }
}

struct import_user *import_user_new(const struct elem *elem, struct jid *jid, const char *place, struct xml **parser,
                                    struct import_report *report)
{
    struct import_user *user = MEM_NEW(struct import_user);
    user->arena = arena_new();
    user->report = report;
    user->parser = parser;
    user->jid = jid;
    user->place = mem_strdup(place);
    memcpy(user->account.local, jid->local, strlen(jid->local) + 1);
    memcpy(user->account.domain, jid->domain, strlen(jid->domain) + 1);
    for (const struct elem *part = elem_child(elem, NULL, NULL); part; part = elem_next_element(part))
        read_part(user, part);
    import_roster(user, elem);
    read_password(user, elem);
    return user;
}

void import_user_free(struct import_user **user)
{
    struct import_user *u = *user;
    if (!u) return;
    *user = NULL;
    arena_free(&u->arena);
    jid_free(&u->jid);
    free(u->place);
    free(u->records);
    free(u->entries);
    mem_wipe(u, sizeof(*u));
    free(u);
}
