#include "lib/file_watch.h"

#include "lib/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_WATCH_MAGIC = 0x66776174, EVENTS_BYTES = 4096, LINKS_MAX = 8 };

static const uint32_t EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;

struct file_watch {
    unsigned magic;
    void (*fn)(void *arg);
    void *arg;
    struct loop *loop;
    char **paths;
    size_t count;
    uint64_t told; /* the state that the owner knows of */
    uint64_t seen; /* the state at the last look */
    int fd;        /* -1: nothing is watched */
    struct event *readable;
    struct deadline_queue *settling;
    struct deadline look;
};

/* FNV-1a over the numbers of a file. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (unsigned i = 0; i < sizeof(value); i++)
        hash = (hash ^ (value >> 8 * i & 0xff)) * UINT64_C(1099511628211);
    return hash;
}

uint64_t file_watch_state(char *const *paths, size_t count)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < count; i++) {
        struct stat st = {0};
        if (stat(paths[i], &st) != 0) memset(&st, 0, sizeof(st));
        hash = mix(hash, (uint64_t)st.st_dev);
        hash = mix(hash, (uint64_t)st.st_ino);
        hash = mix(hash, (uint64_t)st.st_size);
        hash = mix(hash, (uint64_t)st.st_mtim.tv_sec);
        hash = mix(hash, (uint64_t)st.st_mtim.tv_nsec);
        hash = mix(hash, (uint64_t)st.st_ctim.tv_sec);
        hash = mix(hash, (uint64_t)st.st_ctim.tv_nsec);
    }
    return hash;
}

/* What has changed since the last look may be half written. */
static void on_look(struct deadline *deadline, void *arg)
{
    (void)deadline;
    struct file_watch *watch = arg;
    CHECK_MAGIC(watch, FILE_WATCH_MAGIC);
    const uint64_t now = file_watch_state(watch->paths, watch->count);
    if (now == watch->told && now == watch->seen) return;
    if (now == watch->seen) {
        watch->told = now;
        watch->fn(watch->arg);
        return;
    }
    watch->seen = now;
    deadline_arm(watch->settling, &watch->look);
}

static void on_events(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct file_watch *watch = arg;
    CHECK_MAGIC(watch, FILE_WATCH_MAGIC);
    char events[EVENTS_BYTES]; /* which file it was does not matter: a look tells */
    while (read(fd, events, sizeof(events)) > 0) {}
    if (!list_linked(&watch->look.link)) deadline_arm(watch->settling, &watch->look);
}

static void forget(struct file_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        free(watch->paths[i]);
    free(watch->paths);
    watch->paths = NULL;
    watch->count = 0;
    if (watch->readable) event_free(watch->readable);
    watch->readable = NULL;
    if (watch->fd >= 0) close(watch->fd);
    watch->fd = -1;
    deadline_disarm(&watch->look);
}

static void watch_folder_of(const struct file_watch *watch, const char *path)
{
    char *copy = mem_strdup(path);
    (void)inotify_add_watch(watch->fd, dirname(copy), EVENTS);
    free(copy);
}

/* The folder of every symbolic link on the way to path, and path's own. */
static void watch_way_to(const struct file_watch *watch, const char *path, unsigned depth)
{
    char target[PATH_MAX];
    char *way = mem_strdup(path);
    for (char *end = way; *end;) {
        end += 1 + strcspn(end + 1, "/");
        const char cut = *end;
        *end = '\0';
        const ssize_t len = readlink(way, target, sizeof(target) - 1);
        if (len > 0 && depth < LINKS_MAX) {
            target[len] = '\0';
            watch_folder_of(watch, way);
            char *folder = mem_strdup(way);
            char *whole = *target == '/' ? mem_strdup(target) : mem_asprintf("%s/%s", dirname(folder), target);
            watch_way_to(watch, whole, depth + 1);
            free(whole);
            free(folder);
        }
        *end = cut;
    }
    watch_folder_of(watch, path);
    free(way);
}

struct file_watch *file_watch_new(struct loop *loop, int64_t settle_ms, void (*fn)(void *arg), void *arg)
{
    struct file_watch *watch = MEM_NEW(struct file_watch);
    watch->magic = FILE_WATCH_MAGIC;
    watch->fn = fn;
    watch->arg = arg;
    watch->loop = loop;
    watch->fd = -1;
    watch->settling = deadline_queue_new(loop, settle_ms, on_look, watch);
    return watch;
}

void file_watch_set(struct file_watch *watch, char *const *paths, size_t count, uint64_t state)
{
    forget(watch);
    watch->paths = mem_alloc((count + 1) * sizeof(char *));
    watch->count = count;
    watch->told = watch->seen = state;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        watch->paths[i] = mem_strdup(paths[i]);
        if (watch->fd < 0) continue;
        watch_way_to(watch, paths[i], 0);
    }
    if (watch->fd < 0) return;
    watch->readable = event_new(loop_base(watch->loop), watch->fd, EV_READ | EV_PERSIST, on_events, watch);
    CHECK(watch->readable && event_add(watch->readable, NULL) == 0);
    if (file_watch_state(watch->paths, watch->count) != state) deadline_arm(watch->settling, &watch->look);
}

void file_watch_free(struct file_watch **watch)
{
    struct file_watch *w = *watch;
    if (!w) return;
    CHECK_MAGIC(w, FILE_WATCH_MAGIC);
    *watch = NULL;
    forget(w);
    deadline_queue_free(&w->settling);
    w->magic = 0;
    free(w);
}
