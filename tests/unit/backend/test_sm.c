/* What was sent under stream management, up to the end of the count and over it: it is modulo 2^32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/ns.h"
#include "backend/session.h"
#include "backend/shard.h"
#include "backend/sm.h"

#include <stdlib.h>

enum { BEFORE_END = 5, COUNT = 40 };

static const uint32_t FIRST = UINT32_MAX - BEFORE_END;

/* As much of a session as counts; the rest is nothing. */
struct scene {
    struct shard shard;
    struct user user;
    struct session session;
    struct sm sm;
};

static struct stanza *message(void)
{
    struct stanza *stanza = stanza_new(elem_new(arena_new(), NS_CLIENT, "message"));
    assert_non_null(stanza);
    return stanza;
}

static struct scene *scene_new(void)
{
    struct scene *scene = MEM_NEW(struct scene);
    scene->user.shard = &scene->shard;
    scene->session.user = &scene->user;
    scene->sm.session = &scene->session;
    scene->sm.queue.acked = FIRST;
    sm_queue_init(&scene->sm.queue, &scene->session);
    return scene;
}

static void scene_free(struct scene **scene)
{
    free(*scene);
    *scene = NULL;
}

/* Conforms: XEP-0198, 4: what was sent is acknowledged over the end of the count, and neither too much nor backwards */
static void acknowledged_over_the_end(void **state)
{
    (void)state;
    struct scene *scene = scene_new();
    struct sm_queue *queue = &scene->sm.queue;
    struct buf text = {0};
    buf_append_str(&text, "<message/>");
    for (unsigned i = 0; i < COUNT; i++) {
        struct stanza *stanza = message();
        sm_queue_add(queue, stanza, &text);
        stanza_free(&stanza);
    }
    buf_free(&text);
    assert_false(sm_queue_ack(queue, FIRST - 1));
    assert_false(sm_queue_ack(queue, FIRST + COUNT + 1));
    assert_true(sm_queue_ack(queue, FIRST));
    assert_int_equal(queue->count, COUNT);
    assert_true(sm_queue_ack(queue, UINT32_MAX));
    assert_int_equal(queue->count, COUNT - BEFORE_END);
    assert_true(sm_queue_ack(queue, 0)); /* the next one after the highest */
    assert_int_equal(queue->count, COUNT - BEFORE_END - 1);
    assert_false(sm_queue_ack(queue, UINT32_MAX));
    assert_true(sm_queue_ack(queue, COUNT - BEFORE_END - 1));
    assert_int_equal(queue->count, 0);
    assert_int_equal(queue->bytes, 0);
    assert_false(sm_queue_ack(queue, COUNT - BEFORE_END));
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_over_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
