#include "ctl/prosody_folder.h"

#include "ctl/prosody_user.h"
#include "ctl/prosody_xml.h"
#include "lib/mem.h"
#include "lib/utf8.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { NOTES_MAX = 500, NAME_MAX_BYTES = 3 * 1024 };

struct folder {
    const char *path;
    const char *host; /* NULL: all */
    FILE *out;
    struct prosody_left_out *left_out;
    size_t hosts;
};

static int hex_digit(char c)
{
    static const char DIGITS[] = "0123456789abcdef";
    const char *found = c ? strchr(DIGITS, c) : NULL;
    return found ? (int)(found - DIGITS) : -1;
}

/* What a name of a file or folder means: %2e is a dot.  NULL: it means nothing. */
static char *decode(const char *name, size_t len)
{
    char *out = mem_alloc(len + 1);
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        int high = 0, low = 0;
        if (name[i] == '%' && i + 2 < len) {
            high = hex_digit(name[i + 1]);
            low = hex_digit(name[i + 2]);
            i += 2;
            out[at++] = high < 0 || low < 0 ? '\0' : (char)(high * 16 + low);
        } else {
            out[at++] = name[i] == '%' ? '\0' : name[i];
        }
    }
    if (strlen(out) == at && utf8_is_text(out)) return out;
    free(out);
    return NULL;
}

static void note(struct prosody_left_out *left_out, const char *text)
{
    left_out->accounts++;
    if (json_array_size(left_out->notes) >= NOTES_MAX) return;
    json_t *one = json_string(text);
    json_array_append_new(left_out->notes, one ? one : json_string("a file whose name is not UTF-8"));
}

static void write_user(struct folder *folder, const char *host_folder, const char *domain, const char *name)
{
    const size_t len = strlen(name);
    if (len < 5 || len > NAME_MAX_BYTES || strcmp(name + len - 4, ".dat") != 0) return;
    char why[1024] = "", *encoded = mem_strndup(name, len - 4), *local = decode(encoded, len - 4);
    struct buf out = {.secret = true};
    const struct prosody_user user = {.folder = host_folder, .encoded = encoded, .local = local, .domain = domain};
    if (!local) snprintf(why, sizeof(why), "%s/accounts/%s: that is no name as Prosody writes it", host_folder, name);
    if (local && prosody_user_write(&user, &out, why, sizeof(why)) == 0) {
        fwrite(buf_data(&out), 1, buf_len(&out), folder->out);
    } else {
        note(folder->left_out, why);
    }
    buf_free(&out);
    free(local);
    free(encoded);
}

static void write_host(struct folder *folder, const char *name)
{
    char *domain = decode(name, strlen(name));
    char *host_folder = mem_asprintf("%s/%s", folder->path, name);
    char *accounts = mem_asprintf("%s/accounts", host_folder);
    DIR *dir = domain && strchr(name, '.') == NULL ? opendir(accounts) : NULL;
    if (dir) folder->hosts++;
    if (dir && (!folder->host || strcasecmp(folder->host, domain) == 0)) {
        struct buf start = {0};
        buf_append_str(&start, "<host");
        prosody_xml_attribute(&start, "jid", domain);
        buf_append_str(&start, ">\n");
        fwrite(buf_data(&start), 1, buf_len(&start), folder->out);
        buf_free(&start);
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
            write_user(folder, host_folder, domain, entry->d_name);
        fputs("</host>\n", folder->out);
    }
    if (dir) closedir(dir);
    free(accounts);
    free(host_folder);
    free(domain);
}

int prosody_folder_write(const char *path, const char *host, FILE *out, struct prosody_left_out *left_out, char *why,
                         size_t cap)
{
    struct folder folder = {.path = path, .host = host, .out = out, .left_out = left_out};
    DIR *dir = opendir(path);
    fputs("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>\n", out);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir))
        write_host(&folder, entry->d_name);
    if (dir) closedir(dir);
    fputs("</server-data>\n", out);
    if (folder.hosts > 0) return 0;
    snprintf(why, cap,
             "%s: expected Prosody's data folder, which has a folder with accounts for each host, or an "
             "XEP-0227 document",
             path);
    return -1;
}
