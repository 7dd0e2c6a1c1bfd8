#include "backend/elem.h"
#include "backend/ns.h"
#include "lib/byte_table.h"

#include <stdint.h>
#include <string.h>

/* U+FFFD, in place of what no XML document may contain. */
#define REPLACEMENT "\xEF\xBF\xBD"

/* What cannot stand for itself.  An attribute's white space is written as character references, or it would come back
 * as spaces (XML section 3.3.3); so is CR everywhere (section 2.11). */
enum {
    ESCAPED_IN_TEXT = 1,
    ESCAPED_IN_ATTRIBUTE = 2,
};

#define ESCAPED_EVERYWHERE(c) ((c) == '<' || (c) == '>' || (c) == '&' || ((c) < 0x20 && (c) != '\t' && (c) != '\n'))
#define ESCAPED_IN_QUOTES(c)  ((c) == '\'' || (c) == '"' || (c) == '\t' || (c) == '\n')
#define ESCAPED(c)                                                                                                     \
    (ESCAPED_EVERYWHERE(c) ? ESCAPED_IN_TEXT | ESCAPED_IN_ATTRIBUTE : ESCAPED_IN_QUOTES(c) ? ESCAPED_IN_ATTRIBUTE : 0)

static const uint8_t escaped[256] = {BYTE_TABLE(ESCAPED)};

/* escape_of - what stands for such a byte. */
static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '\'':
        return "&apos;";
    case '"':
        return "&quot;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return REPLACEMENT;
    }
}

static void escape(const char *text, size_t len, uint8_t where, struct buf *out)
{
    const char *const end = text + len;
    for (;;) {
        const char *at = text;
        while (at < end && !(escaped[(unsigned char)*at] & where))
            at++;
        buf_append(out, text, (size_t)(at - text));
        if (at == end) return;
        buf_append_str(out, escape_of((unsigned char)*at));
        text = at + 1;
    }
}

void elem_escape(const char *text, size_t len, struct buf *out)
{
    escape(text, len, ESCAPED_IN_ATTRIBUTE, out);
}

static void print_attribute(const char *prefix, const char *name, const char *value, struct buf *out)
{
    buf_append(out, " ", 1);
    buf_append_str(out, prefix);
    buf_append_str(out, name);
    buf_append_str(out, "='");
    escape(value, strlen(value), ESCAPED_IN_ATTRIBUTE, out);
    buf_append(out, "'", 1);
}

/* The xml prefix is built in, and its namespace may be neither another prefix's nor the default. */
static bool is_xml_ns(const char *ns)
{
    return elem_same(ns, NS_XML);
}

/* print_ns_attribute - an attribute of a namespace gets the prefix nK, where K is the place of the first attribute
 * with that namespace; that one declares it. */
static void print_ns_attribute(const struct elem *e, const struct elem_attr *attr, struct buf *out)
{
    if (is_xml_ns(attr->ns)) {
        print_attribute("xml:", attr->name, attr->value, out);
        return;
    }
    unsigned k = 0;
    const struct elem_attr *first = e->attrs;
    while (!first->ns || !elem_same(first->ns, attr->ns)) {
        first = first->next;
        k++;
    }
    if (first == attr) {
        buf_printf(out, " xmlns:n%u='", k);
        escape(attr->ns, strlen(attr->ns), ESCAPED_IN_ATTRIBUTE, out);
        buf_append(out, "'", 1);
    }
    buf_printf(out, " n%u:%s='", k, attr->name);
    escape(attr->value, strlen(attr->value), ESCAPED_IN_ATTRIBUTE, out);
    buf_append(out, "'", 1);
}

static void print_name(const struct elem *e, struct buf *out)
{
    if (is_xml_ns(e->ns)) buf_append_str(out, "xml:");
    buf_append_str(out, e->name);
}

/* print_start - the start tag without its end. */
static void print_start(const struct elem *e, const char *default_ns, struct buf *out)
{
    buf_append(out, "<", 1);
    print_name(e, out);
    if (!is_xml_ns(e->ns) && !elem_same(e->ns, default_ns ? default_ns : "")) {
        print_attribute("", "xmlns", e->ns, out);
    }
    for (const struct elem_attr *attr = e->attrs; attr; attr = attr->next) {
        if (attr->ns) {
            print_ns_attribute(e, attr, out);
        } else {
            print_attribute("", attr->name, attr->value, out);
        }
    }
}

/* ns_inside - the default namespace in force for what e is in, root being where default_ns holds. */
static const char *ns_inside(const struct elem *e, const struct elem *root, const char *default_ns)
{
    while (e != root) {
        e = e->parent;
        if (!is_xml_ns(e->ns)) return e->ns;
    }
    return default_ns;
}

static void print_close(const struct elem *e, struct buf *out)
{
    buf_append_str(out, "</");
    print_name(e, out);
    buf_append(out, ">", 1);
}

void elem_print(const struct elem *root, const char *default_ns, struct buf *out)
{
    const struct elem *e = root;
    for (;;) {
        if (!e->name) {
            escape(e->text, e->text_len, ESCAPED_IN_TEXT, out);
        } else {
            print_start(e, ns_inside(e, root, default_ns), out);
            buf_append_str(out, e->first ? ">" : "/>");
            if (e->first) {
                e = e->first;
                continue;
            }
        }
        while (e != root && !e->next) {
            e = e->parent;
            print_close(e, out);
        }
        if (e == root) return;
        e = e->next;
    }
}
