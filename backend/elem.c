#include "backend/elem.h"

#include "backend/ns.h"

#include <string.h>

static const char *none_if_empty(const char *ns)
{
    return ns && *ns ? ns : NULL;
}

static struct elem *node_new(struct arena *arena)
{
    struct elem *e = arena_alloc(arena, sizeof(*e));
    e->arena = arena;
    return e;
}

static void append_child(struct elem *parent, struct elem *child)
{
    child->parent = parent;
    if (parent->last) {
        parent->last->next = child;
    } else {
        parent->first = child;
    }
    parent->last = child;
}

struct elem *elem_new(struct arena *arena, const char *ns, const char *name)
{
    struct elem *e = node_new(arena);
    e->ns = arena_strdup(arena, ns ? ns : "");
    e->name = arena_strdup(arena, name);
    return e;
}

void elem_free(struct elem **root)
{
    if (!*root) return;
    struct arena *arena = (*root)->arena; /* the element lies in what is freed */
    *root = NULL;
    arena_free(&arena);
}

struct elem *elem_add(struct elem *parent, const char *ns, const char *name)
{
    struct elem *e = node_new(parent->arena);
    /* Most children share their parent's namespace: share its text too. */
    e->ns = !ns || elem_same(ns, parent->ns) ? parent->ns : arena_strdup(parent->arena, ns);
    e->name = arena_strdup(parent->arena, name);
    append_child(parent, e);
    return e;
}

void elem_add_text(struct elem *parent, const char *text, size_t len)
{
    if (len == 0) return;
    struct elem *e = node_new(parent->arena);
    e->text = arena_strndup(parent->arena, text, len);
    e->text_len = len;
    append_child(parent, e);
}

bool elem_remove_all(struct elem *parent, elem_match_fn *match, const void *arg)
{
    struct elem *previous = NULL;
    bool any = false;
    for (struct elem *child = parent->first; child; child = child->next) {
        if (!child->name || !match(child, arg)) {
            previous = child;
            continue;
        }
        any = true;
        if (previous) {
            previous->next = child->next;
        } else {
            parent->first = child->next;
        }
    }
    parent->last = previous;
    return any;
}

static bool attr_is(const struct elem_attr *attr, const char *ns, const char *name)
{
    if (!attr->ns != !ns) return false;
    return elem_same(attr->name, name) && (!ns || elem_same(attr->ns, ns));
}

static void attr_remove(struct elem *e, const char *ns, const char *name)
{
    struct elem_attr *previous = NULL;
    for (struct elem_attr *attr = e->attrs; attr; previous = attr, attr = attr->next) {
        if (!attr_is(attr, ns, name)) continue;
        if (previous) {
            previous->next = attr->next;
        } else {
            e->attrs = attr->next;
        }
        if (e->attrs_last == attr) e->attrs_last = previous;
        return;
    }
}

static void attr_append(struct elem *e, const char *ns, const char *name, const char *value)
{
    struct elem_attr *attr = arena_alloc(e->arena, sizeof(*attr));
    attr->ns = ns ? arena_strdup(e->arena, ns) : NULL;
    attr->name = arena_strdup(e->arena, name);
    attr->value = arena_strdup(e->arena, value);
    if (e->attrs_last) {
        e->attrs_last->next = attr;
    } else {
        e->attrs = attr;
    }
    e->attrs_last = attr;
}

void elem_set(struct elem *e, const char *name, const char *value)
{
    elem_set_ns(e, NULL, name, value);
}

void elem_set_ns(struct elem *e, const char *ns, const char *name, const char *value)
{
    ns = none_if_empty(ns);
    if (!value) {
        attr_remove(e, ns, name);
        return;
    }
    for (struct elem_attr *attr = e->attrs; attr; attr = attr->next) {
        if (!attr_is(attr, ns, name)) continue;
        attr->value = arena_strdup(e->arena, value);
        return;
    }
    attr_append(e, ns, name, value);
}

const char *elem_get(const struct elem *e, const char *name)
{
    return elem_get_ns(e, NULL, name);
}

const char *elem_get_ns(const struct elem *e, const char *ns, const char *name)
{
    ns = none_if_empty(ns);
    for (const struct elem_attr *attr = e->attrs; attr; attr = attr->next) {
        if (attr_is(attr, ns, name)) return attr->value;
    }
    return NULL;
}

bool elem_is(const struct elem *e, const char *ns, const char *name)
{
    if (!e->name) return false;
    return (!ns || elem_same(e->ns, ns)) && (!name || elem_same(e->name, name));
}

struct elem *elem_child(const struct elem *e, const char *ns, const char *name)
{
    struct elem *child = e->first;
    while (child && !elem_is(child, ns, name)) {
        child = child->next;
    }
    return child;
}

struct elem *elem_next_element(const struct elem *e)
{
    struct elem *next = e->next;
    while (next && !next->name) {
        next = next->next;
    }
    return next;
}

const char *elem_text(const struct elem *e, size_t *len)
{
    size_t total = 0;
    const struct elem *only = NULL;
    unsigned runs = 0;
    for (const struct elem *child = e->first; child; child = child->next) {
        if (child->name) continue;
        total += child->text_len;
        only = child;
        runs++;
    }
    if (len) *len = total;
    if (runs == 0) return "";
    if (runs == 1) return only->text;
    char *text = arena_alloc(e->arena, total + 1), *at = text;
    for (const struct elem *child = e->first; child; child = child->next) {
        if (child->name) continue;
        memcpy(at, child->text, child->text_len);
        at += child->text_len;
    }
    return text;
}

static struct elem *copy_node(const struct elem *e, struct arena *arena, struct elem *parent)
{
    struct elem *copy = NULL;
    if (!e->name) {
        copy = node_new(arena);
        copy->text = arena_strndup(arena, e->text, e->text_len);
        copy->text_len = e->text_len;
        if (parent) append_child(parent, copy);
        return copy;
    }
    copy = parent ? elem_add(parent, e->ns, e->name) : elem_new(arena, e->ns, e->name);
    for (const struct elem_attr *attr = e->attrs; attr; attr = attr->next) {
        attr_append(copy, attr->ns, attr->name, attr->value);
    }
    return copy;
}

/* Into parent, or NULL: a root. */
static struct elem *copy_tree(const struct elem *e, struct arena *arena, struct elem *parent)
{
    struct elem *root = copy_node(e, arena, parent);
    const struct elem *from = e;
    struct elem *to = root; /* the copy of from */
    for (;;) {
        if (from->first) {
            from = from->first;
        } else {
            while (from != e && !from->next) {
                from = from->parent;
                to = to->parent;
            }
            if (from == e) return root;
            from = from->next;
            to = to->parent;
        }
        to = copy_node(from, arena, to);
    }
}

struct elem *elem_copy(const struct elem *e)
{
    return copy_tree(e, arena_new(), NULL);
}

struct elem *elem_add_copy(struct elem *parent, const struct elem *e)
{
    return copy_tree(e, parent->arena, parent);
}

void elem_change_ns(struct elem *root, const char *from, const char *to)
{
    for (struct elem *e = root; e;) {
        if (e->ns && elem_same(e->ns, from)) e->ns = to;
        if (e->first) {
            e = e->first;
            continue;
        }
        while (e != root && !e->next)
            e = e->parent;
        if (e == root) return;
        e = e->next;
    }
}
