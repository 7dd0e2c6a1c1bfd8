#include "ctl/password.h"

#include "lib/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One line of standard input, read byte by byte so that what follows it stays unread. */
static int read_line(char out[PASSWORD_MAX_BYTES + 1])
{
    size_t len = 0;
    for (;;) {
        char c;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0) return -1; /* EINTR, too: a signal ends the question */
        if (got == 0 || c == '\n') break;
        if (len == PASSWORD_MAX_BYTES) {
            errno = E2BIG;
            return -1;
        }
        if (c == '\0') { /* the password would silently end here */
            errno = EILSEQ;
            return -1;
        }
        out[len++] = c;
    }
    if (len > 0 && out[len - 1] == '\r') len--;
    out[len] = '\0';
    return 0;
}

static int complain(const char *text)
{
    fprintf(stderr, "posternctl: %s\n", text);
    return -1;
}

static int check(int result, const char *password)
{
    if (result < 0 && errno == E2BIG) return complain("a password has at most 1023 bytes");
    if (result < 0 && errno == EILSEQ) return complain("a password cannot hold the byte 0");
    if (result < 0) return complain("no password could be read from standard input");
    if (password[0] == '\0') return complain("the password is empty");
    return 0;
}

static volatile sig_atomic_t caught;

static void on_signal(int signo)
{
    caught = signo;
}

/* Read a line without echo.  Whatever ends the program meanwhile must not leave the terminal mute: the signals are
 * caught, the terminal is restored, and then the signal is raised again. */
static int read_silently(const char *prompt, char out[PASSWORD_MAX_BYTES + 1])
{
    static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    struct sigaction catcher = {.sa_handler = on_signal}, before[ARRAY_LEN(SIGNALS)];
    struct termios normal, mute;
    if (tcgetattr(STDIN_FILENO, &normal) < 0) return -1;
    caught = 0;
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++)
        sigaction(SIGNALS[i], &catcher, &before[i]);
    mute = normal;
    mute.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &mute);
    fputs(prompt, stderr);
    int result = read_line(out);
    int error = errno;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &normal);
    fputc('\n', stderr);
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++)
        sigaction(SIGNALS[i], &before[i], NULL);
    if (caught) raise(caught);
    errno = error;
    return result;
}

int password_read(const char *jid, char out[PASSWORD_MAX_BYTES + 1])
{
    if (!isatty(STDIN_FILENO)) return check(read_line(out), out);
    char prompt[128], again[PASSWORD_MAX_BYTES + 1];
    snprintf(prompt, sizeof prompt, "New password for %.80s: ", jid);
    if (check(read_silently(prompt, out), out) < 0) return -1;
    int result = check(read_silently("The same again: ", again), again);
    bool same = result == 0 && strcmp(out, again) == 0;
    mem_wipe(again, sizeof again);
    if (result == 0 && !same) return complain("the two passwords differ; nothing was changed");
    return result;
}
