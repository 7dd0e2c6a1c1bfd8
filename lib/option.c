#include "lib/option.h"

#include "lib/option_tree.h"

#include <stdarg.h>
#include <string.h>

const char *option_path(const struct option_file *file)
{
    return file->paths[0];
}

const struct option_section *option_top(const struct option_file *file)
{
    return LIST_ENTRY(list_first(&file->sections), struct option_section, link);
}

static const struct option_section *next_named(const struct option_file *file, const char *name, struct list *at)
{
    for (; at != &file->sections; at = at->next) {
        const struct option_section *s = LIST_ENTRY(at, struct option_section, link);
        if (strcmp(s->name, name) == 0) return s;
    }
    return NULL;
}

const struct option_section *option_next(const struct option_file *file, const char *name,
                                         const struct option_section *before)
{
    CHECK(option_tree_row(file, name) != NULL);
    return next_named(file, name, before ? before->link.next : file->sections.next);
}

const struct option_section *option_single(const struct option_file *file, const char *name)
{
    const struct option_section *s = option_next(file, name, NULL);
    CHECK(s != NULL && s->title == NULL);
    return s;
}

const struct option_section *option_find(const struct option_file *file, const char *name, const char *title)
{
    CHECK(option_tree_row(file, name) != NULL);
    return option_tree_find(file, name, title);
}

const char *option_title(const struct option_section *s)
{
    return s->title;
}

int option_line(const struct option_section *s)
{
    return s->line;
}

static const struct option_value *value_of(const struct option_section *s, const char *option)
{
    const struct option_value *v = option_tree_value(s, option);
    CHECK(v != NULL);
    return v;
}

bool option_is_set(const struct option_section *s, const char *option)
{
    return value_of(s, option)->set;
}

bool option_bool(const struct option_section *s, const char *option)
{
    const struct option_value *v = value_of(s, option);
    CHECK(v->row->type == OPTION_BOOL);
    return v->number != 0;
}

int64_t option_int(const struct option_section *s, const char *option)
{
    const struct option_value *v = value_of(s, option);
    CHECK(v->row->type == OPTION_INT || v->row->type == OPTION_DURATION || v->row->type == OPTION_SIZE);
    return v->number;
}

int option_enum(const struct option_section *s, const char *option)
{
    const struct option_value *v = value_of(s, option);
    CHECK(v->row->type == OPTION_ENUM);
    return (int)v->number;
}

const char *option_str(const struct option_section *s, const char *option)
{
    const struct option_value *v = value_of(s, option);
    CHECK(v->row->type == OPTION_STRING || v->row->type == OPTION_PATH || v->row->type == OPTION_ENUM);
    return v->count ? v->texts[0] : NULL;
}

size_t option_count(const struct option_section *s, const char *option)
{
    const struct option_value *v = value_of(s, option);
    CHECK(option_value_is_list(v->row) || v->row->type == OPTION_ENDPOINT);
    return v->count;
}

const char *option_item(const struct option_section *s, const char *option, size_t i)
{
    const struct option_value *v = value_of(s, option);
    CHECK(option_value_is_list(v->row) && i < v->count);
    return v->texts[i];
}

const struct endpoint *option_endpoint(const struct option_section *s, const char *option, size_t i)
{
    const struct option_value *v = value_of(s, option);
    CHECK(v->row->type == OPTION_ENDPOINT || v->row->type == OPTION_ENDPOINT_LIST);
    return i < v->count ? &v->endpoints[i] : NULL;
}

bool option_same(const struct option_section *a, const struct option_section *b, const char *option)
{
    const struct option_value *one = value_of(a, option), *other = value_of(b, option);
    if (one->count != other->count) return false;
    for (size_t i = 0; i < one->count; i++)
        if (strcmp(one->texts[i], other->texts[i]) != 0) return false;
    return true;
}

void option_each_file(const struct option_file *file, void (*fn)(const char *path, void *arg), void *arg)
{
    for (size_t i = 0; i < file->path_count; i++)
        fn(file->paths[i], arg);
}

int option_error(const struct option_section *s, const char *option, char *error, size_t cap, const char *fmt, ...)
{
    const struct option_value *v = option ? value_of(s, option) : NULL;
    bool set = v && v->set;
    va_list args;
    va_start(args, fmt);
    option_tree_verror(s, set ? v->path : s->path, set ? v->line : s->line, option, error, cap, fmt, args);
    va_end(args);
    return -1;
}
