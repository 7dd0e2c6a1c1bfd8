#include "backend/confinement.h"

#include "backend/backend_config.h"
#include "backend/certificate_files.h"
#include "backend/dns_context.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sandbox.h"

#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct confinement {
    bool on, once;
    struct sandbox_path *paths; /* without symbolic links; owned */
    size_t count;
};

/* What no folder of ours is, or is not there, is left out: whoever needs it will say so. */
static void add_folder(struct confinement *c, const char *folder, bool writable)
{
    char *real = realpath(folder, NULL);
    if (!real) return;
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->paths[i].path, real) != 0) continue;
        c->paths[i].writable |= writable;
        free(real);
        return;
    }
    c->paths = mem_realloc(c->paths, (c->count + 1) * sizeof(struct sandbox_path));
    c->paths[c->count++] = (struct sandbox_path){real, writable};
}

/* The folder that a file stands in, after its symbolic links; free() it.  NULL: there is none. */
static char *folder_of(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = real ? real : mem_strdup(path); /* a file to be made stands in its folder */
    char *folder = realpath(dirname(copy), NULL);
    free(copy);
    return folder;
}

static void add_folder_of(struct confinement *c, const char *path, bool writable)
{
    char *folder = folder_of(path);
    if (folder) add_folder(c, folder, writable);
    free(folder);
}

static void add_configuration(const char *path, void *arg)
{
    add_folder_of(arg, path, false);
}

static void add_target(struct confinement *c, int folder, const char *link, char last[PATH_MAX])
{
    char target[PATH_MAX];
    const ssize_t len = readlinkat(folder, link, target, sizeof(target) - 1);
    if (len <= 0 || target[0] != '/') return;
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    const size_t folder_len = (size_t)(slash - target);
    if (strlen(last) == folder_len && strncmp(last, target, folder_len) == 0) return; /* as the link before */
    snprintf(last, PATH_MAX, "%.*s", (int)folder_len, target);
    add_folder_of(c, target, false);
}

/* Where certificates are in a folder they are links to files elsewhere, as a rule. */
static void add_linked(struct confinement *c, const char *folder)
{
    char last[PATH_MAX] = "";
    const struct dirent *entry = NULL;
    DIR *dir = opendir(folder);
    if (!dir) return;
    add_folder(c, folder, false);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_type == DT_LNK) add_target(c, dirfd(dir), entry->d_name, last);
    closedir(dir);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_certificate(const struct certificate_file *file, void *arg)
{
    if (is_folder(file->path))
        add_linked(arg, file->path);
    else
        add_folder_of(arg, file->path, false);
    return 0;
}

/* It may be written anew, under the same name: the folder it is, even where that is /etc. */
static int add_resolver_file(const struct option_section *section, const char *option, void *arg)
{
    add_folder_of(arg, option_str(section, option), false);
    return 0;
}

struct confinement *confinement_new(const struct backend_config *config, bool once)
{
    struct confinement *c = MEM_NEW(struct confinement);
    const struct option_section *top = option_top(config->file);
    c->on = config->sandbox;
    c->once = once;
    add_folder(c, config->state_dir, true);
    if (once) return c;
    add_folder(c, config->run_dir, true);
    if (config->log.path) add_folder_of(c, config->log.path, true);
    if (config->log.error_path) add_folder_of(c, config->log.error_path, true);
    if (config->pid_file) add_folder_of(c, config->pid_file, true);
    option_each_file(config->file, add_configuration, c);
    (void)certificate_files_each(config, add_certificate, c);
    (void)dns_context_each_file(config, add_resolver_file, c);
    for (size_t i = 0; i < option_count(top, "certificate-folders"); i++)
        add_folder(c, option_item(top, "certificate-folders", i), false);
    return c;
}

void confinement_free(struct confinement **confinement)
{
    struct confinement *c = *confinement;
    if (!c) return;
    *confinement = NULL;
    for (size_t i = 0; i < c->count; i++)
        free((void *)(uintptr_t)c->paths[i].path);
    free(c->paths);
    free(c);
}

int confinement_enter(const struct confinement *c, char *why, size_t cap)
{
    if (!c->on) return 0;
    const struct sandbox_rules rules = {.paths = c->paths,
                                        .path_count = c->count,
                                        .may_start_threads = true,
                                        .may_write_files = true,
                                        .may_watch_files = !c->once,
                                        .may_bind_datagrams = !c->once};
    bool landlock = false;
    const int result = sandbox_enter(&rules, &landlock, why, cap);
    if (result == 0 && !landlock)
        log_msg(LOG_LEVEL_INFO, "sandbox", "Landlock is not in force: this kernel or this build is without");
    return result;
}

static bool is_below(const char *path, const char *folder)
{
    const size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0' || folder[len - 1] == '/');
}

/* Where the file's folder is not there, opening it says so better. */
static bool reaches(const struct confinement *c, const char *path, bool to_write, char outside[PATH_MAX])
{
    char *folder = is_folder(path) ? realpath(path, NULL) : folder_of(path);
    bool found = folder == NULL;
    for (size_t i = 0; i < c->count && !found; i++)
        found = is_below(folder, c->paths[i].path) && (c->paths[i].writable || !to_write);
    if (!found) snprintf(outside, PATH_MAX, "%s", folder);
    free(folder);
    return found;
}

struct checking {
    const struct confinement *confinement;
    char *error;
    size_t cap;
};

static int refuse(const struct option_section *s, const char *option, const char *outside, char *error, size_t cap)
{
    return option_error(s, option, error, cap, "needs restart: the sandbox does not reach the folder %s", outside);
}

static int check_certificate(const struct certificate_file *file, void *arg)
{
    const struct checking *checking = arg;
    char outside[PATH_MAX];
    if (reaches(checking->confinement, file->path, false, outside)) return 0;
    return refuse(file->section, file->option, outside, checking->error, checking->cap);
}

static int check_resolver_file(const struct option_section *section, const char *option, void *arg)
{
    const struct checking *checking = arg;
    char outside[PATH_MAX];
    if (reaches(checking->confinement, option_str(section, option), false, outside)) return 0;
    return refuse(section, option, outside, checking->error, checking->cap);
}

int confinement_check(const struct confinement *c, const struct backend_config *config, char *error, size_t cap)
{
    char outside[PATH_MAX];
    struct checking checking = {.confinement = c, .error = error, .cap = cap};
    if (!c->on) return 0;
    if (config->log.path && !reaches(c, config->log.path, true, outside))
        return refuse(option_single(config->file, "log"), "file", outside, error, cap);
    if (config->log.error_path && !reaches(c, config->log.error_path, true, outside))
        return refuse(option_single(config->file, "log"), "error-file", outside, error, cap);
    if (dns_context_each_file(config, check_resolver_file, &checking) != 0) return -1;
    return certificate_files_each(config, check_certificate, &checking);
}
