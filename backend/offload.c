#include "backend/offload.h"

#include "lib/list.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdlib.h>

/* With 10,000 iterations of PBKDF2 a job takes some milliseconds: more waiting jobs than this are seconds of delay. */
enum { MAX_WAITING = 1024, MAX_WAITING_OF_SOURCE = 64 };

struct waiting {
    struct list link; /* lane->jobs */
    struct offload_job job;
};

/* The jobs of one source, in their order; in use while there are any. */
struct lane {
    struct list link; /* offload->lanes */
    uint64_t source;
    struct list jobs;
    size_t count;
};

struct offload {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct list lanes; /* the next job to begin is the first one of the first lane, which then goes to the end */
    struct list idle_lanes, idle_jobs; /* for the next ones */
    size_t waiting;
    bool stopping;
    unsigned started, threads_wanted;
    pthread_t threads[];
};

/* take - take a job out of its lane, and the lane away when it was the last one. */
static struct offload_job take(struct offload *offload, struct lane *lane, struct list *link)
{
    struct waiting *waiting = LIST_ENTRY(link, struct waiting, link);
    const struct offload_job job = waiting->job;
    list_remove(link);
    list_append(&offload->idle_jobs, link);
    offload->waiting--;
    list_remove(&lane->link);
    list_append(--lane->count > 0 ? &offload->lanes : &offload->idle_lanes, &lane->link);
    return job;
}

static struct lane *first_lane(const struct offload *offload)
{
    return LIST_ENTRY(list_first(&offload->lanes), struct lane, link);
}

static void *run_jobs(void *arg)
{
    struct offload *offload = arg;

    pthread_mutex_lock(&offload->lock);
    for (;;) {
        while (list_empty(&offload->lanes) && !offload->stopping)
            pthread_cond_wait(&offload->wake, &offload->lock);
        if (offload->stopping) break;
        struct lane *lane = first_lane(offload);
        const struct offload_job job = take(offload, lane, list_first(&lane->jobs));
        pthread_mutex_unlock(&offload->lock);
        job.work(job.arg);
        mailbox_post(job.reply_to, job.done, job.arg);
        pthread_mutex_lock(&offload->lock);
    }
    pthread_mutex_unlock(&offload->lock);
    return NULL;
}

struct offload *offload_new(unsigned threads)
{
    CHECK(threads >= 1);
    struct offload *offload = mem_alloc(sizeof *offload + threads * sizeof(pthread_t));

    pthread_mutex_init(&offload->lock, NULL);
    pthread_cond_init(&offload->wake, NULL);
    list_init(&offload->lanes);
    list_init(&offload->idle_lanes);
    list_init(&offload->idle_jobs);
    offload->threads_wanted = threads;
    return offload;
}

static void drop(struct offload *offload, struct lane *lane, struct list *link)
{
    const struct offload_job job = take(offload, lane, link);
    mailbox_post(job.reply_to, job.dropped, job.arg);
}

void offload_free(struct offload **offload_place)
{
    struct offload *offload = *offload_place;

    if (!offload) return;
    pthread_mutex_lock(&offload->lock);
    offload->stopping = true;
    pthread_cond_broadcast(&offload->wake);
    pthread_mutex_unlock(&offload->lock);
    for (unsigned i = 0; i < offload->started; i++)
        pthread_join(offload->threads[i], NULL);
    while (!list_empty(&offload->lanes)) {
        struct lane *lane = first_lane(offload);
        drop(offload, lane, list_first(&lane->jobs));
    }
    LIST_EACH (link, &offload->idle_lanes)
        free(LIST_ENTRY(link, struct lane, link));
    LIST_EACH (link, &offload->idle_jobs)
        free(LIST_ENTRY(link, struct waiting, link));
    pthread_cond_destroy(&offload->wake);
    pthread_mutex_destroy(&offload->lock);
    free(offload);
    *offload_place = NULL;
}

/* What follows holds the lock. */

/* start_thread - one more, if jobs wait that no started thread takes. */
static bool start_thread(struct offload *offload)
{
    if (offload->started < offload->threads_wanted &&
        pthread_create(&offload->threads[offload->started], NULL, run_jobs, offload) == 0)
        offload->started++;
    return offload->started > 0;
}

static struct lane *find_lane(const struct offload *offload, uint64_t source)
{
    LIST_EACH (link, &offload->lanes) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->source == source) return lane;
    }
    return NULL;
}

/* make_room - when all places are taken, whoever has taken the most gives his last one to somebody with less. */
static bool make_room(struct offload *offload, const struct lane *mine)
{
    if (offload->waiting < MAX_WAITING) return true;
    struct lane *longest = first_lane(offload);
    LIST_EACH (link, &offload->lanes) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->count > longest->count) longest = lane;
    }
    if (longest->count <= (mine ? mine->count + 1 : 1)) return false;
    drop(offload, longest, longest->jobs.prev);
    return true;
}

static struct lane *idle_lane(struct offload *offload)
{
    struct list *link = list_first(&offload->idle_lanes);
    if (!link) {
        struct lane *lane = MEM_NEW(struct lane);
        list_init(&lane->jobs);
        return lane;
    }
    list_remove(link);
    return LIST_ENTRY(link, struct lane, link);
}

static struct waiting *idle_job(struct offload *offload)
{
    struct list *link = list_first(&offload->idle_jobs);
    if (!link) return MEM_NEW(struct waiting);
    list_remove(link);
    return LIST_ENTRY(link, struct waiting, link);
}

static int post(struct offload *offload, const struct offload_job *job)
{
    struct lane *lane = find_lane(offload, job->source);
    if (lane && lane->count >= MAX_WAITING_OF_SOURCE) return -1;
    if (offload->stopping || !make_room(offload, lane) || !start_thread(offload)) return -1;
    if (!lane) {
        lane = idle_lane(offload);
        lane->source = job->source;
        list_append(&offload->lanes, &lane->link);
    }
    struct waiting *waiting = idle_job(offload);
    waiting->job = *job;
    list_append(&lane->jobs, &waiting->link);
    lane->count++;
    offload->waiting++;
    pthread_cond_signal(&offload->wake);
    return 0;
}

int offload_post(struct offload *offload, const struct offload_job *job)
{
    pthread_mutex_lock(&offload->lock);
    const int result = post(offload, job);
    pthread_mutex_unlock(&offload->lock);
    return result;
}
