/* RFC 6121 section 8, row by row: what becomes of each type of stanza, by its address and by who is there. */
#include "players.h"

#include "backend/roster.h"

/* Who of the user is there: priorities of available resources, "-" for one that is connected only. */
struct scene {
    const char *name;
    const char *bare;
    const char *resources[3];
    int priorities[3]; /* ABSENT: connected, not available */
};

enum { ABSENT = 1000 };

/* What becomes of a stanza: D to the resource meant, B to the best, A to all that are not negative, O stored, E an
 * error to the sender, S silence. */
struct row {
    size_t scene;
    const char *to;     /* the resource; NULL: the bare address */
    const char *wanted; /* for each type of message: normal, chat, groupchat, headline, error */
};

static const char *const TYPES[] = {"normal", "chat", "groupchat", "headline", "error"};

static const struct scene SCENES[] = {
    {"no such account", "nobody@example.test", {NULL}, {0}},
    {"no resources", "absent@example.test", {NULL}, {0}},
    {"a connected resource", "silent@example.test", {"r"}, {ABSENT}},
    {"a negative resource", "negative@example.test", {"r"}, {-1}},
    {"one resource", "one@example.test", {"r"}, {0}},
    {"one and a negative", "two@example.test", {"r", "minus"}, {3, -5}},
    {"two of one priority", "twins@example.test", {"r", "s"}, {4, 4}},
    {"two of different priorities", "pair@example.test", {"r", "s"}, {1, 127}},
};

static const struct row ROWS[] = {
    {0, NULL, "SSESS"}, {0, "r", "ESESS"},  {1, NULL, "OOESS"}, {1, "r", "EOESS"},  {2, NULL, "OOESS"},
    {2, "r", "DDDDD"},  {2, "x", "EOESS"},  {3, NULL, "OOESS"}, {3, "r", "DDDDD"},  {3, "x", "EOESS"},
    {4, NULL, "BBEAS"}, {4, "r", "DDDDD"},  {4, "x", "EBESS"},  {5, NULL, "BBEAS"}, {5, "minus", "DDDDD"},
    {5, "x", "EBESS"},  {6, NULL, "BBEAS"}, {6, "s", "DDDDD"},  {6, "x", "EBESS"},  {7, NULL, "BBEAS"},
    {7, "r", "DDDDD"},  {7, "x", "EBESS"},
};

static struct client cast[3], romeo;

static void open_scene(const struct scene *scene)
{
    char text[64];
    if (strcmp(scene->name, "no such account") != 0) add_account(scene->bare);
    for (size_t i = 0; i < ARRAY_LEN(cast) && scene->resources[i]; i++) {
        enter(&cast[i], scene->bare, scene->resources[i]);
        snprintf(text, sizeof(text), "<presence><priority>%d</priority></presence>", scene->priorities[i]);
        if (scene->priorities[i] != ABSENT) say(&cast[i], text);
    }
    for (size_t i = 0; i < ARRAY_LEN(cast) && scene->resources[i]; i++)
        heard(&cast[i]);
}

static void close_scene(const struct scene *scene)
{
    for (size_t i = 0; i < ARRAY_LEN(cast) && scene->resources[i]; i++)
        leave(&cast[i]);
    settle();
}

static int best_of(const struct scene *scene)
{
    int best = -1;
    for (size_t i = 0; i < ARRAY_LEN(cast) && scene->resources[i]; i++)
        if (scene->priorities[i] != ABSENT && scene->priorities[i] > best) best = scene->priorities[i];
    return best;
}

static bool expects(const struct scene *scene, size_t i, const char *to, char wanted)
{
    const int priority = scene->priorities[i];
    switch (wanted) {
    case 'D':
        return strcmp(scene->resources[i], to) == 0;
    case 'B':
        return priority == best_of(scene);
    case 'A':
        return priority != ABSENT && priority >= 0;
    default:
        return false;
    }
}

static unsigned stored(void)
{
    return (unsigned)counter_get(backend.counters, COUNTER_OFFLINE_STORED);
}

static void check(const struct row *row, size_t type)
{
    const struct scene *scene = &SCENES[row->scene];
    const char wanted = row->wanted[type];
    const unsigned before = stored();
    char text[256];
    snprintf(text, sizeof(text), "<message to='%s%s%s' type='%s' id='x'><body>hello</body></message>", scene->bare,
             row->to ? "/" : "", row->to ? row->to : "", TYPES[type]);
    say(&romeo, text);
    const bool error = strstr(heard(&romeo), "<service-unavailable") != NULL;
    if (error != (wanted == 'E') || stored() - before != (wanted == 'O'))
        fail_msg("%s, %s: error %d, stored %u", scene->name, text, error, stored() - before);
    for (size_t i = 0; i < ARRAY_LEN(cast) && scene->resources[i]; i++) {
        const bool got = strstr(heard(&cast[i]), "hello") != NULL;
        if (got != expects(scene, i, row->to, wanted)) fail_msg("%s, %s: resource %zu: %d", scene->name, text, i, got);
    }
}

static void messages(void **state)
{
    (void)state;
    bind_as(&romeo, "romeo@example.org", "a");
    for (size_t s = 0; s < ARRAY_LEN(SCENES); s++) {
        open_scene(&SCENES[s]);
        for (size_t r = 0; r < ARRAY_LEN(ROWS); r++)
            for (size_t type = 0; ROWS[r].scene == s && type < ARRAY_LEN(TYPES); type++)
                check(&ROWS[r], type);
        close_scene(&SCENES[s]);
    }
    leave(&romeo);
}

static void messages_to_all(void **state)
{
    struct host *host = (struct host *)(uintptr_t)hosts_find(hosts, "example.test");
    static const struct scene SCENE = {"all", "all@example.test", {"r", "s", "t"}, {1, 127, -1}};
    (void)state;
    bind_as(&romeo, "romeo@example.org", "a");
    host->messages_to_all = true;
    open_scene(&SCENE);
    say(&romeo, "<message to='all@example.test' type='chat'><body>hello</body></message>");
    assert_heard(&cast[0], "hello");
    assert_heard(&cast[1], "hello");
    assert_silent(&cast[2]);
    close_scene(&SCENE);
    host->messages_to_all = false;
    leave(&romeo);
}

/* What strangers hear, whether there is such an account, such a resource, or not. */
static void queries(void **state)
{
    static const char *const to[] = {"nobody@example.test", "nobody@example.test/r", "asked@example.test",
                                     "asked@example.test/x", "asked@example.test/r"};
    char text[256];
    (void)state;
    bind_as(&romeo, "romeo@example.org", "a");
    add_account("asked@example.test");
    enter(&cast[0], "asked@example.test", "r");
    say(&cast[0], "<presence/>");
    heard(&cast[0]);
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        static const char *const answers[] = {"result", "error"};
        static const char *const queries[] = {"get", "set"};
        for (size_t q = 0; q < 2; q++) {
            snprintf(text, sizeof(text), "<iq to='%s' type='%s' id='1'><x xmlns='y'/></iq>", to[i], queries[q]);
            say(&romeo, text);
            assert_heard(&romeo, "<service-unavailable");
            assert_silent(&cast[0]);
            snprintf(text, sizeof(text), "<iq to='%s' type='%s' id='1'/>", to[i], answers[q]);
            say(&romeo, text);
            assert_silent(&romeo);
            if (i == ARRAY_LEN(to) - 1) {
                assert_heard(&cast[0], answers[q]); /* to what it may have asked */
            } else {
                assert_silent(&cast[0]);
            }
        }
    }
    leave(&cast[0]);
    leave(&romeo);
}

/* Who shares presence may be asked: the own account, and whoever was sent directed presence. */
static void queries_of_those_who_know(void **state)
{
    static const char QUERY[] = "<iq to='romeo@example.org/a' type='get' id='1'><x xmlns='y'/></iq>";
    struct client other, juliet;
    (void)state;
    bind_as(&romeo, "romeo@example.org", "a");
    bind_as(&other, "romeo@example.org", "b");
    bind_as(&juliet, "juliet@example.test", "c");
    say(&other, QUERY);
    assert_heard(&romeo, "from='romeo@example.org/b'");
    say(&juliet, QUERY);
    assert_silent(&romeo);
    assert_heard(&juliet, "<service-unavailable");
    say(&romeo, "<presence to='juliet@example.test'/>");
    say(&juliet, QUERY);
    assert_heard(&romeo, "from='juliet@example.test/c'");
    say(&romeo, "<presence to='juliet@example.test' type='unavailable'/>");
    say(&juliet, QUERY);
    assert_silent(&romeo);
    leave(&juliet);
    leave(&other);
    leave(&romeo);
}

static void hosts_are_asked(void **state)
{
    static const struct {
        const char *stanza, *wanted;
    } rows[] = {
        {"<message to='example.test'><body>x</body></message>", "<service-unavailable"},
        {"<message to='example.test/r'><body>x</body></message>", "<service-unavailable"},
        {"<message to='example.test' type='error'/>", NULL},
        {"<presence to='example.test'/>", NULL},
        {"<presence to='example.test/r' type='unavailable'/>", NULL},
        {"<presence to='example.test' type='probe'/>", NULL},
        {"<iq to='example.test' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'"},
        {"<iq to='example.test/r' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "<service-unavailable"},
        {"<iq to='example.test' type='result' id='1'/>", NULL},
        {"<iq to='example.test/r' type='error' id='1'/>", NULL},
    };
    (void)state;
    bind_as(&romeo, "romeo@example.org", "a");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        say(&romeo, rows[i].stanza);
        if (rows[i].wanted) {
            assert_heard(&romeo, rows[i].wanted);
        } else {
            assert_silent(&romeo);
        }
    }
    leave(&romeo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),        cmocka_unit_test(messages_to_all),
        cmocka_unit_test(queries),         cmocka_unit_test(queries_of_those_who_know),
        cmocka_unit_test(hosts_are_asked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
