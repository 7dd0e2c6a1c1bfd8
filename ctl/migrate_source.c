#include "ctl/migrate_source.h"

#include "ctl/pie_join.h"
#include "lib/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum migrate_kind migrate_source_kind(const char *word)
{
    if (strcmp(word, "xep0227") == 0) return MIGRATE_XEP0227;
    return strcmp(word, "prosody") == 0 ? MIGRATE_PROSODY : MIGRATE_UNKNOWN;
}

static bool is_document(const char *folder, const char *name)
{
    const size_t len = strlen(name);
    if (len < 4 || strcmp(name + len - 4, ".xml") != 0) return false;
    char *path = mem_asprintf("%s/%s", folder, name);
    const bool result = pie_join_is_document(path);
    free(path);
    return result;
}

/* The one document in a folder, such as ejabberd makes; NULL: there is none, or several (*count). */
static char *find_document(const char *folder, size_t *count)
{
    DIR *dir = opendir(folder);
    char *found = NULL;
    *count = 0;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        if (!is_document(folder, entry->d_name)) continue;
        if (++*count == 1) found = mem_asprintf("%s/%s", folder, entry->d_name);
    }
    if (dir) closedir(dir);
    if (*count > 1) {
        free(found);
        found = NULL;
    }
    return found;
}

static int write_folder(enum migrate_kind kind, const char *path, const char *host, FILE *out,
                        struct prosody_left_out *left_out, char *why, size_t cap)
{
    size_t count = 0;
    char *document = kind == MIGRATE_PROSODY ? NULL : find_document(path, &count);
    int result = -1;
    if (document) {
        result = pie_join_write(document, out, why, cap);
    } else if (count > 1) {
        snprintf(why, cap, "%s has %zu XEP-0227 documents: name the one that is meant", path, count);
    } else if (kind == MIGRATE_XEP0227) {
        snprintf(why, cap, "%s: no file in it is an XEP-0227 document", path);
    } else {
        result = prosody_folder_write(path, host, out, left_out, why, cap);
    }
    free(document);
    return result;
}

int migrate_source_write(enum migrate_kind kind, const char *path, const char *host, FILE *out,
                         struct prosody_left_out *left_out, char *why, size_t cap)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        snprintf(why, cap, "%s: %s", path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        return write_folder(kind, path, host, out, left_out, why, cap);
    } else if (kind == MIGRATE_PROSODY) {
        snprintf(why, cap, "%s: expected Prosody's data folder", path);
    } else {
        return pie_join_write(path, out, why, cap);
    }
    return -1;
}
