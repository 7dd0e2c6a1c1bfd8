#include "gateway/port_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATE_LISTEN = 0x0a, /* TCP_LISTEN as /proc/net/tcp prints it */
    INODES_MAX = 32,
    NAME_BYTES = 32,
};

/* Columns of /proc/net/tcp. */
enum { FIELD_LOCAL = 1, FIELD_STATE = 3, FIELD_INODE = 9, FIELD_COUNT };

struct line_fields {
    const char *address; /* 8 or 32 hexadecimal digits */
    unsigned long port, state, inode;
};

struct inodes {
    size_t count;
    unsigned long items[INODES_MAX];
};

/* Whether a listener at the printed address (words as the kernel holds them) is in the way of ours. */
static bool in_the_way(const char *hex, const struct addr *ours)
{
    unsigned words[4] = {0};
    bool six = strlen(hex) == 32, any = true;
    for (size_t i = 0; i < (six ? 4 : 1); i++) {
        char word[9];
        snprintf(word, sizeof(word), "%.8s", hex + 8 * i);
        words[i] = (unsigned)strtoul(word, NULL, 16);
        if (words[i] != 0) any = false;
    }
    if (any) return six || ours->sa.sa_family == AF_INET; /* [::] usually takes IPv4, too */
    if (ours->sa.sa_family == AF_INET)
        return !six && (ours->in.sin_addr.s_addr == INADDR_ANY || ours->in.sin_addr.s_addr == words[0]);
    if (!six) return false;
    return memcmp(words, &ours->in6.sin6_addr, sizeof(words)) == 0 || IN6_IS_ADDR_UNSPECIFIED(&ours->in6.sin6_addr);
}

/* "sl address:port remote:port state tx:rx tr:when retransmits uid timeout inode …", numbers but the last four in
 * hexadecimal.  False for the headline and what does not look like that. */
static bool read_line(char *line, struct line_fields *out)
{
    char *save = NULL, *fields[FIELD_COUNT];
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (fields[i] == NULL) return false;
    }
    char *colon = strchr(fields[FIELD_LOCAL], ':');
    if (colon == NULL) return false;
    *colon = '\0';
    out->address = fields[FIELD_LOCAL];
    out->port = strtoul(colon + 1, NULL, 16);
    out->state = strtoul(fields[FIELD_STATE], NULL, 16);
    out->inode = strtoul(fields[FIELD_INODE], NULL, 10);
    return strlen(out->address) == 8 || strlen(out->address) == 32;
}

static void collect(const char *path, const struct addr *ours, struct inodes *found)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    char line[512];
    while (fgets(line, sizeof(line), file) != NULL && found->count < INODES_MAX) {
        struct line_fields f;
        if (read_line(line, &f) && f.state == STATE_LISTEN && f.port == addr_port(ours) && in_the_way(f.address, ours))
            found->items[found->count++] = f.inode;
    }
    fclose(file);
}

static bool is_wanted(const char *link, const struct inodes *wanted)
{
    static const char prefix[] = "socket:[";
    if (strncmp(link, prefix, sizeof(prefix) - 1) != 0) return false;
    unsigned long inode = strtoul(link + sizeof(prefix) - 1, NULL, 10);
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->items[i] == inode) return true;
    return false;
}

static bool holds(const char *pid, const struct inodes *wanted)
{
    char path[64], link[64];
    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    DIR *dir = opendir(path);
    if (dir == NULL) return false;
    bool found = false;
    for (struct dirent *entry = readdir(dir); entry != NULL && !found; entry = readdir(dir)) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
        if (n <= 0) continue;
        link[n] = '\0';
        found = is_wanted(link, wanted);
    }
    closedir(dir);
    return found;
}

static void name_of(const char *pid, char *out, size_t cap)
{
    char path[64];
    snprintf(out, cap, "a process");
    snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    if (fgets(out, (int)cap, file) != NULL) out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

bool port_holder_find(const struct addr *address, char *out, size_t cap)
{
    struct inodes wanted = {0};
    collect("/proc/net/tcp", address, &wanted);
    collect("/proc/net/tcp6", address, &wanted);
    DIR *proc = wanted.count > 0 ? opendir("/proc") : NULL;
    if (proc == NULL) return false;
    bool found = false;
    for (struct dirent *entry = readdir(proc); entry != NULL && !found; entry = readdir(proc)) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !holds(entry->d_name, &wanted)) continue;
        char name[NAME_BYTES];
        name_of(entry->d_name, name, sizeof(name));
        snprintf(out, cap, "%s (pid %.20s)", name, entry->d_name);
        found = true;
    }
    closedir(proc);
    return found;
}
