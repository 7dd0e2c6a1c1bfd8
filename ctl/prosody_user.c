#include "ctl/prosody_user.h"

#include "ctl/lua_table.h"
#include "ctl/pie_join.h"
#include "ctl/prosody_xml.h"
#include "lib/base64.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 64 * 1024 * 1024 };

/* One file of the user being read. */
struct store_file {
    const struct prosody_user *user;
    struct buf *out;
    char *path;
    struct arena *arena;
    const struct lua_value *root;
    const char *wrong; /* static; NULL: nothing */
};

/* 1: read; 0: there is no such file; -1: errno. */
static int read_file(const char *path, struct buf *out)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    errno = EFBIG;
    int result = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX_BYTES ? 1 : -1;
    while (result == 1 && buf_len(out) <= FILE_MAX_BYTES) {
        const ssize_t got = read(fd, buf_reserve(out, 65536), 65536);
        if (got <= 0) {
            result = got == 0 ? 1 : -1;
            break;
        }
        buf_commit(out, (size_t)got);
    }
    close(fd);
    return result;
}

static void write_credentials(struct store_file *file, const char *key, const char *element)
{
    const char *hex = lua_table_string(file->root, key);
    uint8_t data[64];
    char text[BASE64_TEXT_BYTES(sizeof(data))];
    size_t len = 0;
    while (hex && hex[2 * len] && hex[2 * len + 1] && len < sizeof(data)) {
        const char digits[] = {hex[2 * len], hex[2 * len + 1], '\0'};
        char *end = NULL;
        data[len] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2) break;
        len++;
    }
    base64_encode(data, len, text);
    buf_printf(file->out, "<%s>%s</%s>", element, text, element);
}

/* By the length of its keys, in hexadecimal digits: Prosody says it nowhere. */
static const char *mechanism_of(const char *stored_key)
{
    switch (stored_key ? strlen(stored_key) : 0) {
    case 40:
        return "SCRAM-SHA-1";
    case 64:
        return "SCRAM-SHA-256";
    case 128:
        return "SCRAM-SHA-512";
    default:
        return NULL;
    }
}

static void write_scram(struct store_file *file)
{
    const struct lua_value *salt = lua_table_get(file->root, "salt");
    const struct lua_value *count = lua_table_get(file->root, "iteration_count");
    const char *mechanism = mechanism_of(lua_table_string(file->root, "stored_key"));
    char text[BASE64_TEXT_BYTES(64)];
    if (!mechanism || !salt || salt->kind != LUA_STRING || salt->len > 64 || !count || count->kind != LUA_NUMBER ||
        !(count->number >= 1 && count->number <= 1e9)) {
        file->wrong = "the keys of its password are not as Prosody writes them";
        return;
    }
    base64_encode(salt->text, salt->len, text);
    buf_printf(file->out, "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='%s'>", mechanism);
    buf_printf(file->out, "<iter-count>%.0f</iter-count><salt>%s</salt>", count->number, text);
    write_credentials(file, "server_key", "server-key");
    write_credentials(file, "stored_key", "stored-key");
    buf_append_str(file->out, "</scram-credentials>\n");
}

static void write_account(struct store_file *file)
{
    const struct lua_value *disabled = lua_table_get(file->root, "disabled");
    const char *password = lua_table_string(file->root, "password");
    buf_append_str(file->out, "<user");
    prosody_xml_attribute(file->out, "name", file->user->local);
    prosody_xml_attribute(file->out, "password", password);
    buf_append_str(file->out, ">\n");
    if (disabled && disabled->boolean)
        buf_append_str(file->out, "<account xmlns='urn:postern:export:0' disabled='true'/>\n");
    if (!password && lua_table_get(file->root, "stored_key")) write_scram(file);
}

/* The text of a field's key; NULL: it is no text. */
static const char *key_of(const struct lua_field *field)
{
    return field->key->kind == LUA_STRING && strlen(field->key->text) == field->key->len ? field->key->text : NULL;
}

static void write_item(struct store_file *file, const char *jid, const struct lua_value *item)
{
    const struct lua_value *groups = lua_table_get(item, "groups"), *approved = lua_table_get(item, "approved");
    static const char *const ATTRIBUTES[] = {"name", "subscription", "ask"};
    buf_append_str(file->out, "<item");
    prosody_xml_attribute(file->out, "jid", jid);
    for (size_t i = 0; i < ARRAY_LEN(ATTRIBUTES); i++)
        prosody_xml_attribute(file->out, ATTRIBUTES[i], lua_table_string(item, ATTRIBUTES[i]));
    if (approved && (approved->boolean || approved->kind == LUA_STRING))
        prosody_xml_attribute(file->out, "approved", approved->text ? approved->text : "true");
    buf_append_str(file->out, ">");
    for (const struct lua_field *f = groups && groups->kind == LUA_TABLE ? groups->fields : NULL; f; f = f->next) {
        if (!key_of(f)) continue;
        buf_append_str(file->out, "<group>");
        prosody_xml_text(file->out, f->key->text, f->key->len);
        buf_append_str(file->out, "</group>");
    }
    buf_append_str(file->out, "</item>\n");
}

/* Who has asked, with the request as it came, or without. */
static void write_pending(struct store_file *file, const struct lua_value *pending)
{
    static const struct prosody_xml_change CLIENT = {.ns = "jabber:client"};
    for (const struct lua_field *f = pending && pending->kind == LUA_TABLE ? pending->fields : NULL; f; f = f->next) {
        if (!key_of(f)) continue;
        if (f->value->kind == LUA_TABLE) {
            const char *why = NULL;
            if (prosody_xml_element(file->out, f->value, &CLIENT, &why) != 0) file->wrong = why;
        } else if (f->value->boolean) {
            buf_append_str(file->out, "<presence xmlns='jabber:client' type='subscribe'");
            prosody_xml_attribute(file->out, "from", f->key->text);
            buf_append_str(file->out, "/>");
        }
    }
}

/* The entry under the key false is about the roster itself; older ones have "pending" among the contacts. */
static void write_roster(struct store_file *file)
{
    const struct lua_value *pending = NULL;
    buf_append_str(file->out, "<query xmlns='jabber:iq:roster'>\n");
    for (const struct lua_field *f = file->root->fields; f; f = f->next) {
        const char *jid = key_of(f);
        if (f->key->kind == LUA_BOOLEAN) {
            pending = lua_table_get(f->value, "pending");
        } else if (jid && strcmp(jid, "pending") == 0 && !lua_table_get(f->value, "subscription")) {
            pending = f->value;
        } else if (jid && f->value->kind == LUA_TABLE) {
            write_item(file, jid, f->value);
        }
    }
    buf_append_str(file->out, "</query>\n");
    write_pending(file, pending);
}

static void write_element(struct store_file *file, const struct lua_value *element,
                          const struct prosody_xml_change *change)
{
    const char *why = NULL;
    if (prosody_xml_element(file->out, element, change, &why) != 0) file->wrong = why;
    buf_append_str(file->out, "\n");
}

static void write_vcard(struct store_file *file)
{
    static const struct prosody_xml_change VCARD = {.ns = "vcard-temp"};
    if (file->root->fields) write_element(file, file->root, &VCARD);
}

static void write_private(struct store_file *file)
{
    static const struct prosody_xml_change NONE = {0};
    buf_append_str(file->out, "<query xmlns='jabber:iq:private'>");
    for (const struct lua_field *f = file->root->fields; f; f = f->next)
        if (f->value->kind == LUA_TABLE) write_element(file, f->value, &NONE);
    buf_append_str(file->out, "</query>\n");
}

static void write_offline(struct store_file *file)
{
    const struct prosody_xml_change change = {.ns = "jabber:client", .from = file->user->domain};
    buf_append_str(file->out, "<offline-messages>\n");
    for (const struct lua_field *f = file->root->fields; f; f = f->next)
        if (f->value->kind == LUA_TABLE) write_element(file, f->value, &change);
    buf_append_str(file->out, "</offline-messages>\n");
}

static void write_blocklist(struct store_file *file)
{
    buf_append_str(file->out, "<blocklist xmlns='urn:xmpp:blocking'>");
    for (const struct lua_field *f = file->root->fields; f; f = f->next) {
        if (!key_of(f)) continue;
        buf_append_str(file->out, "<item");
        prosody_xml_attribute(file->out, "jid", key_of(f));
        buf_append_str(file->out, "/>");
    }
    buf_append_str(file->out, "</blocklist>\n");
}

static void write_privacy_item(struct store_file *file, const struct lua_value *item)
{
    static const char *const KINDS[] = {"message", "iq", "presence-in", "presence-out"};
    const struct lua_value *order = lua_table_get(item, "order");
    buf_append_str(file->out, "<item");
    prosody_xml_attribute(file->out, "type", lua_table_string(item, "type"));
    prosody_xml_attribute(file->out, "value", lua_table_string(item, "value"));
    prosody_xml_attribute(file->out, "action", lua_table_string(item, "action"));
    if (order && order->kind == LUA_NUMBER && order->number >= 0) {
        buf_printf(file->out, " order='%.0f'", order->number);
    } else {
        prosody_xml_attribute(file->out, "order", order ? order->text : NULL);
    }
    buf_append_str(file->out, ">");
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        const struct lua_value *kind = lua_table_get(item, KINDS[i]);
        if (kind && kind->boolean) buf_printf(file->out, "<%s/>", KINDS[i]);
    }
    buf_append_str(file->out, "</item>");
}

static void write_privacy(struct store_file *file)
{
    const struct lua_value *lists = lua_table_get(file->root, "lists");
    const char *set = lua_table_string(file->root, "default");
    buf_append_str(file->out, "<query xmlns='jabber:iq:privacy'>");
    if (set) {
        buf_append_str(file->out, "<default");
        prosody_xml_attribute(file->out, "name", set);
        buf_append_str(file->out, "/>");
    }
    for (const struct lua_field *f = lists && lists->kind == LUA_TABLE ? lists->fields : NULL; f; f = f->next) {
        const struct lua_value *items = lua_table_get(f->value, "items");
        if (!key_of(f)) continue;
        buf_append_str(file->out, "<list");
        prosody_xml_attribute(file->out, "name", key_of(f));
        buf_append_str(file->out, ">");
        for (const struct lua_field *i = items && items->kind == LUA_TABLE ? items->fields : NULL; i; i = i->next)
            write_privacy_item(file, i->value);
        buf_append_str(file->out, "</list>");
    }
    buf_append_str(file->out, "</query>\n");
}

/* Prosody's stores that mean something here; the account is the first, and must be there. */
static const struct {
    const char *name, *extension;
    void (*write)(struct store_file *file);
} STORES[] = {
    {"accounts", "dat", write_account},    {"offline", "list", write_offline}, {"roster", "dat", write_roster},
    {"vcard", "dat", write_vcard},         {"private", "dat", write_private},  {"privacy", "dat", write_privacy},
    {"blocklist", "dat", write_blocklist},
};

/* A table as it should be: anything else is a fault of the file. */
static int parse(struct store_file *file, const struct buf *text, char *why, size_t cap)
{
    char where[256] = "";
    file->root = lua_table_read(file->arena, (const char *)buf_data(text), buf_len(text), where, sizeof(where));
    if (file->root && file->root->kind == LUA_TABLE) return 0;
    snprintf(why, cap, "%s:%s", file->path, file->root ? "1: expected a table" : where);
    return -1;
}

static int write_store(const struct prosody_user *user, size_t which, struct buf *out, char *why, size_t cap)
{
    struct store_file file = {.user = user, .out = out};
    struct buf text = {.secret = true};
    file.path = mem_asprintf("%s/%s/%s.%s", user->folder, STORES[which].name, user->encoded, STORES[which].extension);
    file.arena = arena_new();
    arena_keep_secret(file.arena);
    int result = read_file(file.path, &text);
    if (result < 0) {
        snprintf(why, cap, "%s: %s", file.path, strerror(errno));
    } else if (result > 0 && (result = parse(&file, &text, why, cap)) == 0) {
        STORES[which].write(&file);
        if (file.wrong) snprintf(why, cap, "%s: %s", file.path, file.wrong);
        if (file.wrong) result = -1;
    }
    buf_free(&text);
    arena_free(&file.arena);
    free(file.path);
    return result < 0 ? -1 : 0;
}

/* In an instruction, whose end is none of its text. */
static void write_place(const struct prosody_user *user, struct buf *out)
{
    char *path = mem_asprintf("%s/accounts/%s.dat", user->folder, user->encoded);
    for (char *c = path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '?') *c = '_';
    buf_printf(out, "<?postern-at %s?>", path);
    free(path);
}

int prosody_user_write(const struct prosody_user *user, struct buf *out, char *why, size_t cap)
{
    struct buf element = {.secret = true};
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(STORES) && result == 0; i++)
        result = write_store(user, i, &element, why, cap);
    buf_append_str(&element, "</user>\n");
    if (result == 0 && !pie_join_is_element((const char *)buf_data(&element), buf_len(&element))) {
        snprintf(why, cap, "%s@%s: something in its files cannot stand in XML", user->local, user->domain);
        result = -1;
    }
    if (result == 0) {
        write_place(user, out);
        buf_append(out, buf_data(&element), buf_len(&element));
    }
    buf_free(&element);
    return result;
}
