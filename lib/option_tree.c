#include "lib/option_tree.h"

#include "lib/map.h"
#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *option_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return mem_strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

const char *option_tree_path(struct option_file *file, const char *path)
{
    for (size_t i = 0; i < file->path_count; i++)
        if (strcmp(file->paths[i], path) == 0) return file->paths[i];
    file->paths = mem_realloc(file->paths, (file->path_count + 1) * sizeof *file->paths);
    return file->paths[file->path_count++] = mem_strdup(path);
}

const struct option_row *option_tree_row(const struct option_file *file, const char *name)
{
    for (size_t i = 0; i < file->row_count; i++) {
        const struct option_row *row = &file->rows[i];
        if (row->type == OPTION_SECTION && strcmp(row->name, name) == 0) return row;
    }
    return NULL;
}

static bool is_value_row(const struct option_row *row, const char *section)
{
    return row->type != OPTION_SECTION && strcmp(row->section, section) == 0;
}

static void set_preset(const struct option_file *file, struct option_value *v)
{
    char why[256];
    if (v->row->preset == NULL) {
        v->number = v->row->type == OPTION_ENUM ? -1 : 0;
        return;
    }
    int rc = option_value_add(v, v->row->preset, file->folder, why, sizeof why);
    CHECK(rc == 0);
}

/* free() the key; *len is its length. */
static char *title_key(const char *name, const char *title, size_t *len)
{
    *len = strlen(name) + 1 + strlen(title);
    return mem_asprintf("%s\n%s", name, title); /* no name of a section holds a newline */
}

struct option_section *option_tree_find(const struct option_file *file, const char *name, const char *title)
{
    size_t len;
    char *key = title_key(name, title, &len);
    struct option_section *found = map_get(file->titled, key, len);
    free(key);
    return found;
}

static void remember_title(struct option_file *file, struct option_section *s)
{
    size_t len;
    char *key = title_key(s->name, s->title, &len);
    if (map_get(file->titled, key, len) == NULL) map_set(file->titled, key, len, s);
    free(key);
}

struct option_section *option_tree_section(struct option_file *file, const char *name, const char *title,
                                           const char *path, int line)
{
    struct option_section *s = MEM_NEW(struct option_section);
    s->file = file;
    s->name = name;
    s->title = mem_strdup(title);
    s->path = path;
    s->line = line;
    for (size_t i = 0; i < file->row_count; i++)
        s->count += is_value_row(&file->rows[i], name);
    s->values = mem_alloc((s->count + 1) * sizeof *s->values);
    size_t n = 0;
    for (size_t i = 0; i < file->row_count; i++) {
        if (!is_value_row(&file->rows[i], name)) continue;
        s->values[n].row = &file->rows[i];
        set_preset(file, &s->values[n++]);
    }
    list_append(&file->sections, &s->link);
    if (title != NULL) remember_title(file, s);
    return s;
}

struct option_file *option_tree_new(const char *path, const struct option_row *rows, size_t row_count)
{
    struct option_file *file = MEM_NEW(struct option_file);
    file->rows = rows;
    file->row_count = row_count;
    file->folder = option_folder(path);
    list_init(&file->sections);
    file->titled = map_new();
    option_tree_section(file, "", NULL, option_tree_path(file, path), 0);
    return file;
}

struct option_value *option_tree_value(const struct option_section *s, const char *option)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->values[i].row->name, option) == 0) return &s->values[i];
    return NULL;
}

static PRINTF_LIKE(4, 5) void append(char *out, size_t cap, size_t *used, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out + *used, cap - *used, fmt, args);
    va_end(args);
    if (n > 0) *used += (size_t)n < cap - *used ? (size_t)n : cap - *used - 1;
}

void option_tree_verror(const struct option_section *s, const char *path, int line, const char *option, char *error,
                        size_t cap, const char *fmt, va_list args)
{
    size_t used = 0;
    append(error, cap, &used, "%s:", path);
    if (line > 0) append(error, cap, &used, "%d:", line);
    append(error, cap, &used, " ");
    if (s && s->title) append(error, cap, &used, "%s \"%s\": ", s->name, s->title);
    if (s && !s->title && *s->name) append(error, cap, &used, "%s: ", s->name);
    if (option) append(error, cap, &used, "%s: ", option);
    vsnprintf(error + used, cap - used, fmt, args);
    /* A text of the file that is quoted in the message may hold newlines. */
    for (char *p = error; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) *p = ' ';
}

void option_file_free(struct option_file **file)
{
    struct option_file *f = *file;
    *file = NULL;
    if (f == NULL) return;
    LIST_EACH (link, &f->sections) {
        struct option_section *s = LIST_ENTRY(link, struct option_section, link);
        for (size_t i = 0; i < s->count; i++)
            option_value_clear(&s->values[i]);
        free(s->values);
        free(s->title);
        free(s);
    }
    for (size_t i = 0; i < f->path_count; i++)
        free(f->paths[i]);
    free(f->paths);
    map_free(&f->titled);
    free(f->folder);
    free(f);
}
