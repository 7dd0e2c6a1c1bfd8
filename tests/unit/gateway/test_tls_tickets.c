#include "gateway/tls_tickets.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_rotation(void **state)
{
    struct tls_ticket_key first, second, found;
    bool current = false;
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new(3600000);
    assert_non_null(tickets);
    assert_int_equal(tls_tickets_lifetime_s(tickets), 3600);
    tls_tickets_current(tickets, &first);
    int64_t left = tls_tickets_rotate(tickets);
    assert_true(left > 3590000 && left <= 3600000); /* it is not time yet */
    assert_true(tls_tickets_find(tickets, first.name, &found, &current));
    assert_true(current);
    assert_memory_equal(&found, &first, sizeof(found));

    tls_tickets_set_rotation(tickets, 0); /* any age is too old */
    assert_int_equal(tls_tickets_rotate(tickets), 0);
    tls_tickets_current(tickets, &second);
    assert_memory_not_equal(first.name, second.name, sizeof(first.name));
    assert_memory_not_equal(first.cipher_key, second.cipher_key, sizeof(first.cipher_key));
    assert_true(tls_tickets_find(tickets, first.name, &found, &current));
    assert_false(current);
    assert_memory_equal(&found, &first, sizeof(found));
    assert_true(tls_tickets_find(tickets, second.name, &found, &current));
    assert_true(current);

    tls_tickets_rotate(tickets);
    assert_false(tls_tickets_find(tickets, first.name, &found, &current));
    assert_true(tls_tickets_find(tickets, second.name, &found, &current));
    for (int i = 0; i < 9; i++)
        tls_tickets_rotate(tickets);
    assert_false(tls_tickets_find(tickets, second.name, &found, &current));
    tls_tickets_free(&tickets);
}

/* A worker sees a rotation of its master, and cannot write. */
static void test_shared_by_processes(void **state)
{
    struct tls_ticket_key key, found;
    bool current;
    int pipes[2];
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new(0);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        tls_tickets_protect(tickets);
        if (read(pipes[0], &key, sizeof(key)) != sizeof(key)) _exit(1);
        _exit(tls_tickets_fd(tickets) == -1 && tls_tickets_find(tickets, key.name, &found, &current) && current &&
                      memcmp(&found, &key, sizeof(key)) == 0
                  ? 0
                  : 2);
    }
    tls_tickets_rotate(tickets);
    tls_tickets_current(tickets, &key);
    assert_int_equal(write(pipes[1], &key, sizeof(key)), sizeof(key));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(pipes[0]);
    close(pipes[1]);
    tls_tickets_free(&tickets);
}

static void test_inherited(void **state)
{
    struct tls_ticket_key key, found;
    bool current;
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new(3600000);
    tls_tickets_current(tickets, &key);
    int fd = dup(tls_tickets_fd(tickets)); /* as after exec: not close-on-exec */
    tls_tickets_free(&tickets);
    tickets = tls_tickets_adopt(fd, 7200000);
    assert_non_null(tickets);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_true(tls_tickets_find(tickets, key.name, &found, &current));
    assert_memory_equal(&found, &key, sizeof(key));
    assert_int_equal(tls_tickets_lifetime_s(tickets), 7200);
    tls_tickets_free(&tickets);
}

static void test_what_is_none_is_not_adopted(void **state)
{
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_null(tls_tickets_adopt(fd, 1000));
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken */
    struct tls_tickets *tickets = tls_tickets_new(1000);
    off_t size = lseek(tls_tickets_fd(tickets), 0, SEEK_END);
    tls_tickets_free(&tickets);
    fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_null(tls_tickets_adopt(fd, 1000)); /* of the right size, but zeros */
}

/* Every mapping of the keys has the flag "dd": not in core dumps. */
static void test_left_out_of_core_dumps(void **state)
{
    char line[512];
    bool keys = false;
    int found = 0;
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new(1000);
    FILE *maps = fopen("/proc/self/smaps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (strstr(line, "postern-tickets") != NULL) keys = true;
        if (!keys || strncmp(line, "VmFlags:", 8) != 0) continue;
        assert_non_null(strstr(line, " dd"));
        keys = false;
        found++;
    }
    assert_int_equal(found, 1);
    fclose(maps);
    tls_tickets_free(&tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_shared_by_processes),
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_what_is_none_is_not_adopted),
        cmocka_unit_test(test_left_out_of_core_dumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
