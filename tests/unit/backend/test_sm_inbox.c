/* What was received under stream management, up to the end of the count and over it: it is modulo 2^32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/ns.h"
#include "backend/shard.h"
#include "backend/sm_inbox.h"
#include "backend/stanza.h"

#include <stdlib.h>

enum { BEFORE_END = 5, COUNT = 40 };

static const uint32_t FIRST = UINT32_MAX - BEFORE_END;

struct scene {
    struct shard shard;
    struct sm_inbox inbox;
    unsigned times_settled;
};

static void on_settled(struct sm_inbox *inbox)
{
    CONTAINER_OF(inbox, struct scene, inbox)->times_settled++;
}

static struct scene *scene_new(void)
{
    struct scene *scene = MEM_NEW(struct scene);
    scene->shard.managed = map_new();
    sm_inbox_open(&scene->inbox, &scene->shard, on_settled);
    scene->inbox.received = scene->inbox.handled = FIRST;
    return scene;
}

static void scene_free(struct scene **scene)
{
    sm_inbox_close(&(*scene)->inbox);
    map_free(&(*scene)->shard.managed);
    free(*scene);
    *scene = NULL;
}

static void receive(struct sm_inbox *inbox)
{
    struct stanza *stanza = stanza_new(elem_new(arena_new(), NS_CLIENT, "message"));
    assert_non_null(stanza);
    sm_inbox_receive(inbox, stanza);
    assert_int_equal(stanza->receipt.number, inbox->received);
    stanza->receipt.session = 0; /* it is settled by the test */
    stanza_free(&stanza);
}

/* Conforms: XEP-0198, 4: what came is counted over the end of the count, in order, whenever each is settled */
static void handled_over_the_end(void **state)
{
    (void)state;
    struct scene *scene = scene_new();
    struct sm_inbox *inbox = &scene->inbox;
    for (unsigned i = 0; i < COUNT; i++)
        receive(inbox);
    assert_int_equal(inbox->received, (uint32_t)(FIRST + COUNT));
    for (uint32_t i = COUNT; i > 1; i--)
        sm_inbox_settle(&scene->shard, inbox->serial, FIRST + i);
    assert_int_equal(inbox->handled, FIRST);                          /* the first one is missing */
    sm_inbox_settle(&scene->shard, inbox->serial, FIRST + COUNT + 1); /* of nothing that came */
    sm_inbox_settle(&scene->shard, inbox->serial, FIRST);
    sm_inbox_settle(&scene->shard, inbox->serial + 1, FIRST + 1); /* of another session */
    assert_int_equal(inbox->handled, FIRST);
    sm_inbox_settle(&scene->shard, inbox->serial, FIRST + 1);
    assert_int_equal(inbox->handled, (uint32_t)(FIRST + COUNT));
    assert_int_equal(scene->times_settled, 1);
    scene_free(&scene);
}

/* What comes after the owner of an inbox has gone changes nothing, and another inbox has another serial. */
static void closed(void **state)
{
    (void)state;
    struct scene *scene = scene_new();
    const uint64_t serial = scene->inbox.serial;
    struct sm_inbox other = {0};
    sm_inbox_open(&other, &scene->shard, on_settled);
    assert_int_not_equal(other.serial, serial);
    receive(&scene->inbox);
    sm_inbox_close(&scene->inbox);
    sm_inbox_settle(&scene->shard, serial, FIRST + 1);
    assert_int_equal(scene->inbox.handled, FIRST);
    assert_int_equal(scene->times_settled, 0);
    sm_inbox_close(&other);
    scene_free(&scene);
}

/* A receipt that was split counts when all of its parts are settled, in whatever order. */
static void split_receipts(void **state)
{
    (void)state;
    struct scene *scene = scene_new();
    struct loop *loop = loop_new();
    scene->shard.mailbox = mailbox_new(loop); /* nobody runs the shard: it is told by its mailbox */
    struct stanza *stanza = stanza_new(elem_new(arena_new(), NS_CLIENT, "message"));
    assert_non_null(stanza);
    sm_inbox_receive(&scene->inbox, stanza);
    struct receipt one = receipt_split(&stanza->receipt), other = receipt_split(&one), none = {0};
    receipt_settle(&other);
    receipt_settle(&other);
    stanza_free(&stanza);
    assert_false(mailbox_drain(scene->shard.mailbox));
    assert_int_equal(scene->inbox.handled, FIRST);
    receipt_settle(&one);
    assert_true(mailbox_drain(scene->shard.mailbox));
    assert_int_equal(scene->inbox.handled, FIRST + 1);
    none = receipt_split(&none);
    assert_int_equal(none.session, 0);
    assert_null(none.share);
    mailbox_free(&scene->shard.mailbox);
    loop_free(&loop);
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handled_over_the_end),
        cmocka_unit_test(split_receipts),
        cmocka_unit_test(closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
