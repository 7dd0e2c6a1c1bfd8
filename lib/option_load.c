#include "lib/option.h"

#include "lib/mem.h"
#include "lib/option_text.h"
#include "lib/option_tree.h"
#include "lib/utf8.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INCLUDE_DEPTH_MAX = 10 };

/* An option that nobody can write, given a preset by us, so that libconfuse calls us where a section begins. */
#define SECTION_START "\001"

/* libconfuse hands no pointer of ours to its callbacks, and its lexer is one for the whole process anyway. */
static struct option_load {
    struct option_file *file;
    const cfg_t *root;
    struct option_section *section; /* the last one that was opened */
    const cfg_t *section_cfg;
    int depth; /* of includes */
    bool failed;
    char *error;
    size_t cap;
} load;

static struct option_section *top(void)
{
    return LIST_ENTRY(list_first(&load.file->sections), struct option_section, link);
}

static struct option_section *section_of(const cfg_t *cfg)
{
    return cfg == load.section_cfg ? load.section : top();
}

/* The first error counts: those after it follow from it. */
static PRINTF_LIKE(3, 4) int fail(const cfg_t *cfg, const char *option, const char *fmt, ...)
{
    if (load.failed) return -1;
    load.failed = true;
    const char *path = cfg->filename ? cfg->filename : option_path(load.file);
    va_list args;
    va_start(args, fmt);
    option_tree_verror(section_of(cfg), path, cfg->line, option, load.error, load.cap, fmt, args);
    va_end(args);
    return -1;
}

/* Levenshtein's distance, cut off: 99 for names too long to compare. */
static int distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t la = strlen(a), lb = strlen(b);
    int row[MAX + 1];
    if (la > MAX || lb > MAX) return 99;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

static const char *nearest(const char *name, const char *section)
{
    const char *best = NULL;
    int best_distance = 3;
    for (size_t i = 0; i < load.file->row_count; i++) {
        const struct option_row *row = &load.file->rows[i];
        int d = distance(name, row->name);
        if (strcmp(row->section, section) != 0 || d >= best_distance || (size_t)d * 2 >= strlen(row->name)) continue;
        best = row->name;
        best_distance = d;
    }
    return best;
}

static int fail_unknown(const cfg_t *cfg, const char *name)
{
    /* As in nginx's files: libconfuse takes it for a name. */
    if (strcmp(name, ";") == 0) return fail(cfg, NULL, "unexpected \";\": a line ends without it");
    const char *section = section_of(cfg)->name;
    const char *near = nearest(name, section);
    if (near) return fail(cfg, NULL, "unknown option \"%s\"; did you mean \"%s\"?", name, near);
    for (size_t i = 0; i < load.file->row_count; i++) {
        const struct option_row *row = &load.file->rows[i];
        if (strcmp(row->name, name) != 0) continue;
        if (*row->section == '\0')
            return fail(cfg, NULL, "unknown option \"%s\"; it belongs outside of all sections", name);
        return fail(cfg, NULL, "unknown option \"%s\"; it belongs in a section \"%s\"", name, row->section);
    }
    return fail(cfg, NULL, "unknown option \"%s\"", name);
}

/* What libconfuse says, and what we make of it; the ones with %s have one argument. */
static const struct {
    const char *theirs, *before, *after;
} MESSAGES[] = {
    {"missing equal sign after option '%s'", "", ": expected \"=\" and a value"},
    {"unexpected token '%s'", "unexpected \"", "\""},
    {"missing opening brace for section '%s'", "", ": expected \"{\""},
    {"missing title for section '%s'", "", ": expected a title in quotes and \"{\""},
    {"missing parenthesis for function '%s'", "", ": expected include(\"file\")"},
    {"syntax error in call of function '%s'", "", ": expected include(\"file\")"},
    {"no sub-section title/index for '%s'", "unexpected \"|\" after \"", "\""},
    {"premature end of file", "the file ends in the middle of an option", NULL},
};

static __attribute__((format(printf, 2, 0))) void on_libconfuse_error(cfg_t *cfg, const char *fmt, va_list args)
{
    if (load.failed) return;
    if (strcmp(fmt, "no such option '%s'") == 0) {
        fail_unknown(cfg, va_arg(args, const char *));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(MESSAGES); i++) {
        if (strcmp(fmt, MESSAGES[i].theirs) != 0) continue;
        const char *arg = MESSAGES[i].after ? va_arg(args, const char *) : "";
        fail(cfg, NULL, "%s%s%s%s", MESSAGES[i].before, arg, MESSAGES[i].after ? MESSAGES[i].after : "",
             strcmp(arg, ",") == 0 ? "; several values stand in braces: {\"a\", \"b\"}" : "");
        return;
    }
    char text[256];
    vsnprintf(text, sizeof text, fmt, args);
    fail(cfg, NULL, "%s", text);
}

/* Called for every value of every option. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
    char why[512];
    struct option_section *s = section_of(cfg);
    /* libconfuse takes "section|option" for a path into a section. */
    if (cfg_getopt(cfg, opt->name) != opt) return fail(cfg, NULL, "unknown option \"%s\"", opt->name);
    struct option_value *v = option_tree_value(s, opt->name);
    CHECK(v != NULL);
    bool first = !option_value_is_list(v->row) || opt->nvalues <= 1;
    if (first && v->set) return fail(cfg, opt->name, "given twice, first in line %d", v->line);
    if (first) {
        option_value_clear(v);
        v->set = true;
        v->path = option_tree_path(s->file, cfg->filename);
        v->line = cfg->line;
    }
    if (option_value_add(v, text, s->file->folder, why, sizeof why) < 0) return fail(cfg, opt->name, "%s", why);
    *(const char **)result = text;
    return load.failed ? -1 : 0;
}

/* Must not return an error: libconfuse would print and abort, since this comes from a preset. */
static int on_section_start(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
    (void)opt;
    *(const char **)result = text;
    if (load.root == NULL) load.root = cfg;
    if (cfg == load.root) return 0;
    const struct option_row *row = option_tree_row(load.file, cfg->name);
    CHECK(row != NULL);
    const struct option_section *other =
        cfg->title ? option_find(load.file, row->name, cfg->title) : option_next(load.file, row->name, NULL);
    load.section =
        option_tree_section(load.file, row->name, cfg->title, option_tree_path(load.file, cfg->filename), cfg->line);
    load.section_cfg = cfg;
    if (cfg->title && *cfg->title == '\0') fail(cfg, NULL, "expected a title that is not empty");
    if (cfg->title && !utf8_is_text(cfg->title)) fail(cfg, NULL, "expected a title in UTF-8");
    if (other) fail(cfg, NULL, "given twice, first in line %d", other->line);
    return 0;
}

/* We hold what a section says; libconfuse would compare the title of each one that follows with those that it holds. */
static int on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
    (void)cfg;
    cfg_free_value(opt);
    load.section_cfg = NULL;
    return 0;
}

static int parse_file(cfg_t *cfg, const char *path)
{
    bool readable;
    char *text = option_text_read(path, &readable, load.error, load.cap);
    if (text == NULL) {
        char *why = mem_strdup(load.error);
        if (!readable && load.depth > 0) fail(cfg, "include", "%s", why);
        free(why);
        load.failed = true;
        return -1;
    }
    FILE *fp = fmemopen(text, strlen(text), "r");
    CHECK(fp != NULL);
    free(cfg->filename);
    cfg->filename = mem_strdup(path);
    int rc = cfg_parse_fp(cfg, fp);
    fclose(fp);
    free(text);
    if (rc != CFG_SUCCESS) fail(cfg, NULL, "expected an option");
    return load.failed ? -1 : 0;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    if (argc != 1) return fail(cfg, opt->name, "expected include(\"file\")");
    if (load.depth == INCLUDE_DEPTH_MAX)
        return fail(cfg, opt->name, "files include each other more than %d deep", INCLUDE_DEPTH_MAX);
    char *includer = mem_strdup(cfg->filename);
    char *folder = option_folder(includer);
    char *path = option_resolve(folder, argv[0]);
    int line = cfg->line;
    load.depth++;
    int rc = parse_file(cfg, path);
    load.depth--;
    free(path);
    free(folder);
    free(cfg->filename);
    cfg->filename = includer;
    cfg->line = line;
    return rc;
}

/* The options of one section for libconfuse, which copies them; free() the array. */
static cfg_opt_t *make_opts(const struct option_row *rows, size_t row_count, const char *section)
{
    static char start_preset[] = "{start}";
    cfg_opt_t start = {.name = SECTION_START,
                       .type = CFGT_STR,
                       .flags = CFGF_LIST,
                       .def.parsed = start_preset,
                       .parsecb = on_section_start};
    cfg_opt_t include = CFG_FUNC("include", on_include);
    cfg_opt_t *opts = mem_alloc((row_count + 3) * sizeof *opts);
    size_t n = 0;
    opts[n++] = start;
    if (*section == '\0') opts[n++] = include;
    for (size_t i = 0; i < row_count; i++) {
        const struct option_row *row = &rows[i];
        if (strcmp(row->section, section) != 0) continue;
        cfg_opt_t *opt = &opts[n++];
        opt->name = row->name;
        opt->flags = CFGF_NODEFAULT | (option_value_is_list(row) ? CFGF_LIST : CFGF_NONE);
        opt->type = CFGT_STR;
        opt->parsecb = on_value;
        if (row->type != OPTION_SECTION) continue;
        opt->type = CFGT_SEC;
        opt->flags = CFGF_NODEFAULT | CFGF_MULTI | (strcmp(row->choices, "titled") == 0 ? CFGF_TITLE : CFGF_NONE);
        opt->subopts = make_opts(rows, row_count, row->name);
        opt->parsecb = NULL;
        if (opt->flags & CFGF_TITLE) opt->validcb = on_section_end;
    }
    return opts;
}

static cfg_t *make_cfg(const struct option_row *rows, size_t row_count)
{
    cfg_opt_t *opts = make_opts(rows, row_count, "");
    cfg_t *cfg = cfg_init(opts, CFGF_NONE);
    CHECK(cfg != NULL);
    for (cfg_opt_t *opt = opts; opt->name; opt++)
        free(opt->subopts);
    free(opts);
    cfg_set_error_function(cfg, on_libconfuse_error);
    return cfg;
}

static void add_missing_singles(struct option_file *file)
{
    for (size_t i = 0; i < file->row_count; i++) {
        const struct option_row *row = &file->rows[i];
        if (row->type != OPTION_SECTION || strcmp(row->choices, "single") != 0) continue;
        if (option_next(file, row->name, NULL) == NULL)
            option_tree_section(file, row->name, NULL, option_path(file), 0);
    }
}

struct option_file *option_load(const char *path, const struct option_row *rows, size_t row_count, char *error,
                                size_t cap)
{
    struct option_file *file = option_tree_new(path, rows, row_count);
    load = (struct option_load){.file = file, .error = error, .cap = cap};
    cfg_t *cfg = make_cfg(rows, row_count);
    if (parse_file(cfg, path) < 0)
        option_file_free(&file);
    else
        add_missing_singles(file);
    cfg_free(cfg);
    return file;
}
