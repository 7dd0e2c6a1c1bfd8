#include "ctl/ctl_completion.h"

#include "lib/check.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char OPTIONS[] = "-c --config -g --gateway --json -h --help -V --version";

/* In single quotes, as bash and zsh take them; colon: the form of zsh's _describe, where a colon divides. */
static void put_quoted(const char *text, bool colon)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (*text == ':' && colon)
            fputs("\\:", stdout);
        else
            putchar(*text);
    }
}

/* The i-th command whose name has the group as its first word, or, for "", a name or a group; NULL: no more.  *len is
 * the length of the word. */
static const char *word_of(const struct command *command, const char *group, size_t *len)
{
    const size_t group_len = strlen(group);
    const char *word = command->name;
    if (group_len > 0) {
        if (strncmp(word, group, group_len) != 0 || word[group_len] != ' ') return NULL;
        word += group_len + 1;
    }
    *len = strcspn(word, " ");
    return word;
}

/* A group, such as "gateway", is told once. */
static bool is_repeated(size_t index, const char *group)
{
    size_t len = 0, before_len = 0;
    const char *word = word_of(&COMMANDS[index], group, &len);
    for (size_t i = 0; word && i < index; i++) {
        const char *before = word_of(&COMMANDS[i], group, &before_len);
        if (before && before_len == len && memcmp(before, word, len) == 0) return true;
    }
    return false;
}

typedef void word_fn(const struct command *command, const char *word, size_t len);

static void each_word(const char *group, word_fn *fn)
{
    size_t len;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *word = word_of(&COMMANDS[i], group, &len);
        if (word && !is_repeated(i, group)) fn(&COMMANDS[i], word, len);
    }
}

static bool is_new_group(size_t index, const char *group, size_t len)
{
    for (size_t i = 0; i < index; i++)
        if (strncmp(COMMANDS[i].name, group, len) == 0 && COMMANDS[i].name[len] == ' ') return false;
    return true;
}

/* fn is called with each group's name: "gateway"; "s2s", and "s2s queue". */
static void each_group(void (*fn)(const char *group))
{
    char group[32];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *name = COMMANDS[i].name;
        for (const char *end = strchr(name, ' '); end; end = strchr(end + 1, ' ')) {
            if (!is_new_group(i, name, (size_t)(end - name))) continue;
            snprintf(group, sizeof group, "%.*s", (int)(end - name), name);
            fn(group);
        }
    }
}

/* The words in lower case of a first argument such as "bash|zsh|fish" or "all|HOST". */
static bool put_choices(const struct command *command, bool print)
{
    bool any = false;
    const char *at = command->args + strspn(command->args, "[");
    const char *end = at + strcspn(at, " ]");
    while (at < end) {
        size_t len = strcspn(at, "| ]");
        if (islower((unsigned char)*at) && (at[len] == '|' || any)) {
            if (print) printf("%s%.*s", any ? " " : "", (int)len, at);
            any = true;
        }
        at += len + 1;
    }
    return any;
}

static void put_word(const struct command *command, const char *word, size_t len)
{
    (void)command;
    printf(" %.*s", (int)len, word);
}

static void bash_group(const char *group)
{
    printf("    '%s') choices='", group);
    each_word(group, put_word);
    puts("' ;;");
}

static void bash_choices(void)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!put_choices(&COMMANDS[i], false)) continue;
        printf("    '%s') choices='", COMMANDS[i].name);
        put_choices(&COMMANDS[i], true);
        puts("' ;;");
    }
}

static void bash(void)
{
    printf("# For bash: . <(posternctl shell-completion bash)\n"
           "_posternctl() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} said='' choices='' i\n"
           "    case $before in\n"
           "    -c|--config|-g|--gateway) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
           "    esac\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        -c|--config|-g|--gateway|--from) ((i++)) ;;\n"
           "        -*) ;;\n"
           "        *) said+=\"${said:+ }${COMP_WORDS[i]}\" ;;\n"
           "        esac\n"
           "    done\n"
           "    case $said in\n"
           "    '') choices='%s",
           OPTIONS);
    each_word("", put_word);
    puts("' ;;");
    each_group(bash_group);
    bash_choices();
    puts("    esac\n"
         "    COMPREPLY=($(compgen -W \"$choices\" -- \"$current\"))\n"
         "}\n"
         "complete -F _posternctl posternctl");
}

static void zsh_word(const struct command *command, const char *word, size_t len)
{
    printf(" '%.*s", (int)len, word);
    if (word[len] == '\0') {
        putchar(':');
        put_quoted(command->help, true);
    }
    putchar('\'');
}

static void zsh_group(const char *group)
{
    printf("    '%s') choices=(", group);
    each_word(group, zsh_word);
    puts(") ;;");
}

static void zsh(void)
{
    puts("#compdef posternctl\n"
         "# For zsh: posternctl shell-completion zsh > a file _posternctl in a folder of $fpath\n"
         "_posternctl() {\n"
         "    local -a said choices\n"
         "    local i\n"
         "    case $words[CURRENT-1] in\n"
         "    -c|--config|-g|--gateway) _files; return ;;\n"
         "    esac\n"
         "    for ((i = 2; i < CURRENT; i++)); do\n"
         "        case $words[i] in\n"
         "        -c|--config|-g|--gateway|--from) ((i++)) ;;\n"
         "        -*) ;;\n"
         "        *) said+=($words[i]) ;;\n"
         "        esac\n"
         "    done\n"
         "    case \"$said\" in");
    printf("    '') compadd -- %s; choices=(", OPTIONS);
    each_word("", zsh_word);
    puts(") ;;");
    each_group(zsh_group);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!put_choices(&COMMANDS[i], false)) continue;
        printf("    '%s') choices=(", COMMANDS[i].name);
        put_choices(&COMMANDS[i], true);
        puts(") ;;");
    }
    puts("    esac\n"
         "    _describe command choices\n"
         "}\n"
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _posternctl \"$@\"; else compdef _posternctl "
         "posternctl; fi");
}

/* In single quotes, as fish takes them. */
static void put_fish(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') putchar('\\');
        putchar(*text);
    }
}

static void fish_word(const struct command *command, const char *word, size_t len)
{
    const bool grouped = word != command->name;
    const int group_len = grouped ? (int)(word - command->name - 1) : 0;
    printf("complete -c posternctl -f -n '_posternctl_said \"%.*s\"' -a '%.*s'", group_len, command->name, (int)len,
           word);
    if (word[len] == '\0') {
        fputs(" -d '", stdout);
        put_fish(command->help);
        putchar('\'');
    }
    putchar('\n');
}

static void fish_group(const char *group)
{
    each_word(group, fish_word);
}

static void fish(void)
{
    puts("# For fish: posternctl shell-completion fish > ~/.config/fish/completions/posternctl.fish\n"
         "function _posternctl_said\n"
         "    set -l said\n"
         "    set -l skip 0\n"
         "    for word in (commandline -opc)[2..]\n"
         "        if test $skip = 1\n"
         "            set skip 0\n"
         "            continue\n"
         "        end\n"
         "        switch $word\n"
         "            case -c --config -g --gateway --from\n"
         "                set skip 1\n"
         "            case '-*'\n"
         "            case '*'\n"
         "                set -a said $word\n"
         "        end\n"
         "    end\n"
         "    test \"$said\" = \"$argv[1]\"\n"
         "end\n"
         "complete -c posternctl -f\n"
         "complete -c posternctl -s c -l config -r -F\n"
         "complete -c posternctl -s g -l gateway -r -F\n"
         "complete -c posternctl -l json\n"
         "complete -c posternctl -s h -l help\n"
         "complete -c posternctl -s V -l version");
    each_word("", fish_word);
    each_group(fish_group);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!put_choices(&COMMANDS[i], false)) continue;
        printf("complete -c posternctl -f -n '_posternctl_said \"%s\"' -a '", COMMANDS[i].name);
        put_choices(&COMMANDS[i], true);
        puts("'");
    }
}

enum command_status ctl_completion(const struct command_line *line)
{
    static const struct shell {
        const char *name;
        void (*print)(void);
    } SHELLS[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < ARRAY_LEN(SHELLS); i++) {
        if (strcmp(SHELLS[i].name, line->args[0]) != 0) continue;
        SHELLS[i].print();
        return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_REFUSED;
    }
    fprintf(stderr, "posternctl: expected bash, zsh or fish, not %s\n", line->args[0]);
    return COMMAND_USAGE;
}
