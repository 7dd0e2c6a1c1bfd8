#include "backend/offload.h"

#include "lib/list.h"
#include "lib/mem.h"

#include <pthread.h>
#include <stdlib.h>

/* With SCRAM_ITERATIONS of PBKDF2 a job takes some milliseconds: more waiting jobs than this are seconds of delay. */
enum { MAX_WAITING = 1024 };

struct job {
    struct list link;
    struct mailbox *reply_to;
    void (*work)(void *arg);
    mailbox_fn *done;
    void *arg;
};

struct offload {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct list jobs;
    size_t waiting;
    bool stopping;
    unsigned started, threads_wanted;
    pthread_t threads[];
};

static void *run_jobs(void *arg)
{
    struct offload *offload = arg;

    pthread_mutex_lock(&offload->lock);
    for (;;) {
        while (list_empty(&offload->jobs) && !offload->stopping)
            pthread_cond_wait(&offload->wake, &offload->lock);
        if (offload->stopping) break;
        struct job *job = LIST_ENTRY(list_first(&offload->jobs), struct job, link);
        list_remove(&job->link);
        offload->waiting--;
        pthread_mutex_unlock(&offload->lock);
        job->work(job->arg);
        mailbox_post(job->reply_to, job->done, job->arg);
        free(job);
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
    list_init(&offload->jobs);
    offload->threads_wanted = threads;
    return offload;
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
    LIST_EACH (link, &offload->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);
        mailbox_post(job->reply_to, job->done, job->arg);
        free(job);
    }
    pthread_cond_destroy(&offload->wake);
    pthread_mutex_destroy(&offload->lock);
    free(offload);
    *offload_place = NULL;
}

/* start_thread - one more, if jobs wait that no started thread takes; the lock is held. */
static bool start_thread(struct offload *offload)
{
    if (offload->started < offload->threads_wanted &&
        pthread_create(&offload->threads[offload->started], NULL, run_jobs, offload) == 0)
        offload->started++;
    return offload->started > 0;
}

int offload_post(struct offload *offload, struct mailbox *reply_to, void (*work)(void *arg), mailbox_fn *done,
                 void *arg)
{
    int result = -1;

    pthread_mutex_lock(&offload->lock);
    if (offload->waiting < MAX_WAITING && !offload->stopping && start_thread(offload)) {
        struct job *job = MEM_NEW(struct job);
        job->reply_to = reply_to;
        job->work = work;
        job->done = done;
        job->arg = arg;
        list_append(&offload->jobs, &job->link);
        offload->waiting++;
        pthread_cond_signal(&offload->wake);
        result = 0;
    }
    pthread_mutex_unlock(&offload->lock);
    return result;
}
