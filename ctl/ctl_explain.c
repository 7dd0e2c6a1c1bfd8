#include "ctl/ctl_explain.h"

#include "ctl/reach.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 30000 }; /* what fits a request, in hexadecimal */

/* The bytes of a file in hexadecimal; free() them.  NULL: the error was printed. */
static char *read_bytes(const char *path)
{
    uint8_t bytes[BYTES_MAX];
    FILE *file = fopen(path, "rbe");
    size_t len = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file == NULL || ferror(file)) {
        fprintf(stderr, "posternctl: --bytes: %s: %s\n", path, strerror(errno));
        if (file != NULL) fclose(file);
        return NULL;
    }
    if (len == sizeof bytes && fgetc(file) != EOF)
        fprintf(stderr, "posternctl: --bytes: only the first %d bytes of %s are asked about\n", BYTES_MAX, path);
    fclose(file);
    char *hex = mem_alloc(2 * len + 1);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return hex;
}

static int add_bytes(json_t *args, const char *path)
{
    char *hex = read_bytes(path);
    int result = hex != NULL ? json_object_set_new(args, "hex", json_string(hex)) : -1;
    free(hex);
    return result;
}

static int usage(const char *wrong)
{
    fprintf(
        stderr,
        "posternctl: %s\nusage: posternctl gateway explain [--listener NAME] [--source ADDRESS] [--destination "
        "ADDRESS] [--inside NAME] --sni NAME | --alpn NAME,NAME | --tls-version VERSION | --hex HEX | --bytes FILE | "
        "--silent\n",
        wrong);
    return -1;
}

/* "--sni NAME" or "--sni=NAME" at the i-th argument into args; *i is moved to the last one that was used. */
static int read_argument(const struct command_line *line, size_t *i, json_t *args)
{
    static const char *const NAMES[] = {"sni",         "alpn",   "tls-version", "hex",  "source",
                                        "destination", "inside", "listener",    "bytes"};
    const char *text = line->args[*i];
    if (strncmp(text, "--", 2) != 0) return usage("expected arguments that begin with --");
    if (strcmp(text, "--silent") == 0) return json_object_set_new(args, "silent", json_true());
    size_t len = strcspn(text + 2, "=");
    for (size_t n = 0; n < sizeof NAMES / sizeof NAMES[0]; n++) {
        if (strlen(NAMES[n]) != len || memcmp(NAMES[n], text + 2, len) != 0) continue;
        const char *value = text[2 + len] == '=' ? text + 3 + len : NULL;
        if (value == NULL && *i + 1 < line->arg_count) value = line->args[++*i];
        if (value == NULL) return usage("an argument lacks its value");
        if (strcmp(NAMES[n], "bytes") == 0) return add_bytes(args, value);
        if (json_object_set_new(args, NAMES[n], json_string(value)) == 0) return 0;
        return usage("an argument is not valid UTF-8");
    }
    return usage("unknown argument");
}

enum command_status ctl_explain(const struct command_line *line)
{
    json_t *args = json_object(), *answer;
    for (size_t i = 0; i < line->arg_count; i++) {
        if (read_argument(line, &i, args) == 0) continue;
        json_decref(args);
        return COMMAND_USAGE;
    }
    enum command_status status = reach_gateway(line, "explain", args, &answer);
    if (status != COMMAND_OK) return status;
    json_t *result = json_object_get(answer, "result");
    const char *text = json_string_value(json_object_get(result, "text"));
    if (text == NULL || line->json) return command_answer(line, answer, NULL);
    status = json_is_true(json_object_get(result, "found")) ? COMMAND_OK : COMMAND_REFUSED;
    fputs(text, stdout);
    json_decref(answer);
    return fflush(stdout) == 0 ? status : COMMAND_REFUSED;
}
