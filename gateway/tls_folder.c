#include "gateway/tls_folder.h"

#include "lib/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 2 };

/* One folder's names. */
struct listing {
    size_t count;
    char **names;
};

static int list_folder(const char *path, struct listing *out)
{
    *out = (struct listing){0};
    DIR *dir = opendir(path);
    if (dir == NULL) return -1;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        out->names = mem_realloc(out->names, (out->count + 1) * sizeof(char *));
        out->names[out->count++] = mem_strdup(entry->d_name);
    }
    closedir(dir);
    return 0;
}

static void listing_free(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void add(struct tls_folder *out, char *cert, char *key)
{
    /* Doubled in size at each power of two. */
    if ((out->count & (out->count - 1)) == 0)
        out->items = mem_realloc(out->items, (out->count > 0 ? out->count * 2 : 1) * sizeof(*out->items));
    out->items[out->count++] = (struct tls_folder_item){.cert = cert, .key = key};
}

/* The first of two paths (taken) that exists, or NULL. */
static char *first_of(char *one, char *two)
{
    char *found = exists(one) ? one : exists(two) ? two : NULL;
    if (found != one) free(one);
    if (found != two) free(two);
    return found;
}

/* NAME.crt, NAME.cer or NAME.pem with its key beside it or, perhaps, inside. */
static void look_at_file(const char *folder, const char *name, struct tls_folder *out)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name) return;
    if (strcmp(dot, ".pem") != 0 && strcmp(dot, ".crt") != 0 && strcmp(dot, ".cer") != 0) return;
    char *cert = mem_asprintf("%s/%s", folder, name);
    add(out, cert,
        first_of(mem_asprintf("%s.key", cert), mem_asprintf("%s/%.*s.key", folder, (int)(dot - name), name)));
}

/* Certbot's and uacme's folders, whose other files do not count.  Returns whether it is one. */
static bool look_at_whole(const char *folder, struct tls_folder *out)
{
    char *cert = mem_asprintf("%s/fullchain.pem", folder), *key = mem_asprintf("%s/privkey.pem", folder);
    if (!exists(cert) || !exists(key)) {
        const char *slash = strrchr(folder, '/');
        free(cert);
        free(key);
        cert = mem_asprintf("%s/cert.pem", folder);
        key = slash == NULL ? mem_strdup("")
                            : mem_asprintf("%.*s/private%s/key.pem", (int)(slash - folder), folder, slash);
    }
    if (exists(cert) && exists(key)) {
        add(out, cert, key);
        return true;
    }
    free(cert);
    free(key);
    return false;
}

static int look_at_folder(const char *folder, int depth, struct tls_folder *out)
{
    struct listing listing;
    if (look_at_whole(folder, out)) return 0;
    if (list_folder(folder, &listing) < 0) return -1;
    for (size_t i = 0; i < listing.count; i++) {
        struct stat st;
        char *path = mem_asprintf("%s/%s", folder, listing.names[i]);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            /* A folder that we may not read is none of ours. */
            if (depth < DEPTH_MAX) (void)look_at_folder(path, depth + 1, out);
        } else {
            look_at_file(folder, listing.names[i], out);
        }
        free(path);
    }
    listing_free(&listing);
    return 0;
}

static int by_cert(const void *a, const void *b)
{
    return strcmp(((const struct tls_folder_item *)a)->cert, ((const struct tls_folder_item *)b)->cert);
}

int tls_folder_scan(const char *path, struct tls_folder *out)
{
    *out = (struct tls_folder){0};
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    char *clean = mem_strndup(path, len);
    int rc = look_at_folder(clean, 1, out);
    int saved = errno;
    free(clean);
    if (out->count > 0) qsort(out->items, out->count, sizeof(*out->items), by_cert);
    errno = saved;
    return rc;
}

void tls_folder_free(struct tls_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        free(folder->items[i].cert);
        free(folder->items[i].key);
    }
    free(folder->items);
    *folder = (struct tls_folder){0};
}
