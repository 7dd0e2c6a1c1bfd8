#include "ctl/prosody_xml.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Names that stand in tags as they are: what is no name at all is found when the XML is read. */
static bool is_name(const char *name)
{
    return name && *name && !strpbrk(name, " \t\r\n<>&'\"/=\1");
}

void prosody_xml_text(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '<':
            buf_append_str(out, "&lt;");
            break;
        case '>':
            buf_append_str(out, "&gt;");
            break;
        case '&':
            buf_append_str(out, "&amp;");
            break;
        case '\'':
            buf_append_str(out, "&apos;");
            break;
        case '"':
            buf_append_str(out, "&quot;");
            break;
        case '\t':
        case '\r':
        case '\n':
            buf_printf(out, "&#%d;", text[i]);
            break;
        default:
            buf_append(out, &text[i], 1);
        }
    }
}

void prosody_xml_attribute(struct buf *out, const char *name, const char *value)
{
    if (!value) return;
    buf_printf(out, " %s='", name);
    prosody_xml_text(out, value, strlen(value));
    buf_append_str(out, "'");
}

/* An attribute with a namespace is kept as NS\1NAME. */
static int write_qualified(struct buf *out, const char *key, const char *value, unsigned number)
{
    const char *end = strchr(key, '\1');
    char name[32];
    if (!is_name(end + 1) || strlen(end + 1) > 255) return -1;
    snprintf(name, sizeof(name), "xmlns:n%u", number);
    buf_printf(out, " %s='", name);
    prosody_xml_text(out, key, (size_t)(end - key));
    buf_printf(out, "' n%u:%s='", number, end + 1);
    prosody_xml_text(out, value, strlen(value));
    buf_append_str(out, "'");
    return 0;
}

/* Of a message that was kept: added by the storage. */
static bool is_added(const char *key)
{
    return strcmp(key, "stamp") == 0 || strcmp(key, "stamp_legacy") == 0;
}

static int write_attributes(struct buf *out, const struct lua_value *attr, bool kept, const char **why)
{
    unsigned number = 0;
    *why = "an attribute is none";
    for (const struct lua_field *f = attr && attr->kind == LUA_TABLE ? attr->fields : NULL; f; f = f->next) {
        const char *key = f->key->text, *value = f->value->text;
        if (!key || !value || strlen(key) != f->key->len || strlen(value) != f->value->len) return -1;
        if (kept && is_added(key)) continue;
        if (strchr(key, '\1')) {
            if (write_qualified(out, key, value, number++) != 0) return -1;
        } else if (is_name(key)) {
            prosody_xml_attribute(out, key, value);
        } else {
            return -1;
        }
    }
    return 0;
}

/* When it was kept: the storage's own word, or its attribute. */
static void write_delay(struct buf *out, const struct lua_value *message, const char *from)
{
    const struct lua_value *when = lua_table_get(message, "when");
    const char *stamp = lua_table_string(lua_table_get(message, "attr"), "stamp");
    char text[32];
    if (!stamp && when && when->kind == LUA_NUMBER && when->number > 0 && when->number < 1e11) {
        const time_t seconds = (time_t)when->number;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        stamp = text;
    }
    if (!stamp) return;
    buf_append_str(out, "<delay xmlns='urn:xmpp:delay'");
    prosody_xml_attribute(out, "from", from);
    prosody_xml_attribute(out, "stamp", stamp);
    buf_append_str(out, "/>");
}

static int write_content(struct buf *out, const struct lua_value *element, const char **why)
{
    static const struct prosody_xml_change NONE = {0};
    for (const struct lua_field *f = element->fields; f; f = f->next) {
        if (f->key->kind != LUA_NUMBER) continue;
        if (f->value->kind == LUA_STRING) {
            prosody_xml_text(out, f->value->text, f->value->len);
        } else if (prosody_xml_element(out, f->value, &NONE, why) != 0) {
            return -1;
        }
    }
    return 0;
}

int prosody_xml_element(struct buf *out, const struct lua_value *element, const struct prosody_xml_change *change,
                        const char **why)
{
    const char *name = lua_table_string(element, "name");
    const struct lua_value *attr = lua_table_get(element, "attr");
    *why = "an element has no name";
    if (!is_name(name)) return -1;
    buf_printf(out, "<%.255s", name);
    if (change->ns && !lua_table_string(attr, "xmlns")) prosody_xml_attribute(out, "xmlns", change->ns);
    if (write_attributes(out, attr, change->from != NULL, why) != 0) return -1;
    buf_append_str(out, ">");
    if (write_content(out, element, why) != 0) return -1;
    if (change->from) write_delay(out, element, change->from);
    buf_printf(out, "</%.255s>", name);
    return 0;
}
