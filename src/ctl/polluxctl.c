/* polluxctl.c - for people who run Pollux: reads the command line, opens the store, hands over
 * to ctl_*.c. */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/places.h"
#include "ctl/commands.h"
#include "ctl/dates.h"

enum { NO_STORE, READS, WRITES };         /* who writes needs the server's settings, too */
enum { TAKES_NOTHING, MAY_TAKE, MUST_TAKE };

static const struct command {
    const char *name;
    int (*run)(struct ctl *c);
    int store;                          /* what it does with the store */
    int takes;                          /* an argument? */
    const char *options;                /* which of the options below, by their letters */
    const char *usage;
    const char *help;
} commands[] = {
    { "log", ctl_log, READS, MAY_TAKE, "afjlnSU", "log [CHANNEL]",
      "Who said what to whom, a line a message: time, number, sender and recipients, channel, how "
      "long it took to\n"
      "be heard by all (or: never, waiting, sent), event, arguments. The server's log echoes and "
      "packets that are\n"
      "no events are left out without --all.\n" },
    { "channels", ctl_channels, READS, TAKES_NOTHING, "j", "channels",
      "The channels that exist, how many members each has, how many of them are away, and how many "
      "newcomers wait\n"
      "at the door.\n" },
    { "who", ctl_who, READS, MAY_TAKE, "ajl", "who [CHANNEL]",
      "The members of all channels or of one: since when, in which role, here or away, how many "
      "messages wait for\n"
      "each. With --all also sockets that are in no channel.\n" },
    { "show", ctl_show, READS, MUST_TAKE, "j", "show MESSAGE",
      "Everything on one message, named by the number that log shows: sender, the whole payload, "
      "attachments, and\n"
      "for each recipient when it was sent and when it arrived.\n" },
    { "diagram", ctl_diagram, READS, MUST_TAKE, "alnSU", "diagram CHANNEL",
      "What was said in a channel as a Mermaid sequence diagram: solid arrows arrived, dashed ones "
      "have not yet, and\n"
      "those that end in a cross never will.\n" },
    { "close", ctl_close, WRITES, MUST_TAKE, "N", "close CHANNEL",
      "End a channel: its members are disconnected and do not come back by themselves.\n" },
    { "gc", ctl_gc, WRITES, TAKES_NOTHING, "V", "gc",
      "Remove messages older than log_age_days, and the oldest while the database is larger than "
      "log_max_bytes; take\n"
      "out payloads and addresses that the settings do not want kept. The server does the same by "
      "itself. --vacuum\n"
      "then makes the file smaller; it holds up a running server for as long as it takes.\n" },
    { "stats", ctl_stats, READS, TAKES_NOTHING, "j", "stats",
      "How much there is in the store, and what each process of the server has done since it "
      "began: polls that wait,\n"
      "messages relayed, requests, answers that were errors, and on average how long a turn took, "
      "how many requests\n"
      "it had, how long its commit took. Processes of plain CGI are not counted.\n" },
    { "check", ctl_check, READS, TAKES_NOTHING, "", "check",
      "See whether the database file is whole and everything in it fits together. Exit status 1 if "
      "not.\n" },
    { "codes", ctl_codes, NO_STORE, MAY_TAKE, "", "codes [CODE]",
      "What the codes in the server's log mean, and what to do: all of them, or one like P315. "
      "Needs no store.\n" },
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static const char short_options[] = "afhjln:";

static const struct option long_options[] = {
    { "all", no_argument, NULL, 'a' },         { "color", required_argument, NULL, 'K' },
    { "colour", required_argument, NULL, 'K' }, { "config", required_argument, NULL, 'C' },
    { "follow", no_argument, NULL, 'f' },      { "help", no_argument, NULL, 'h' },
    { "json", no_argument, NULL, 'j' },        { "lines", required_argument, NULL, 'n' },
    { "long", no_argument, NULL, 'l' },        { "namespace", required_argument, NULL, 'N' },
    { "since", required_argument, NULL, 'S' }, { "store", required_argument, NULL, 'D' },
    { "until", required_argument, NULL, 'U' }, { "vacuum", no_argument, NULL, 'V' },
    { "version", no_argument, NULL, 'v' },     { NULL, 0, NULL, 0 },
};

static const struct { char letter; const char *text;
} option_help[] = {
    { 'a', "  -a, --all            also what is otherwise left out" },
    { 'f',
      "  -f, --follow         go on with what is said from now on; begins with the last 10 lines" },
    { 'j', "  -j, --json           one JSON object a line, payloads unchanged" },
    { 'l', "  -l, --long           whole ids, and lines that are not cut at the terminal's edge" },
    { 'n', "  -n, --lines N        the last N messages" },
    { 'S', "      --since TIME     from then on: 10m, 2h, 3d ago, today, \"2026-03-01 12:30\", "
           "12:30, @SECONDS" },
    { 'U', "      --until TIME     before then" },
    { 'N', "      --namespace NSP  the channel of that name in namespace NSP" },
    { 'V', "      --vacuum         then give free space back to the file system" },
};

#define FOLLOW_LINES 10

/* What the command line said besides what is in struct ctl. */
struct line {
    const struct command *command;
    char *store;
    const char *config;
    char given[16];                     /* letters of the command's own options that were given */
    size_t given_count;
    bool help, version;
};

/* ---- help */

static void print_help(void)
{
    puts("Usage: polluxctl [--store DIR] [--config FILE] COMMAND [OPTION...] [ARGUMENT]\n\n"
         "Look into a Pollux store, also while the server runs.\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        const char *help = commands[i].help;
        size_t end = strcspn(help, ":.;");
        printf("  %-18s ", commands[i].usage);
        for (size_t k = 0; k < end; k++)
            putchar(help[k] == '\n' ? ' ' : help[k]);
        putchar('\n');
    }
    puts("  help COMMAND       more on a command and its options\n\n"
         "      --store DIR    the store directory; else $POLLUX_STORE, else the key `store` of "
         "the settings\n"
         "      --config FILE  the settings; else $POLLUX_CONFIG\n"
         "      --color WHEN   always, never, or auto: on a terminal, unless NO_COLOR is set\n"
         "  -h, --help         this\n"
         "      --version      which version this is\n\n"
         "Exit status: 0 all well; 1 it failed, or check found something; 2 the command line was "
         "wrong.");
}

static void print_command_help(const struct command *command)
{
    bool any = command->options[0] != '\0';

    printf("Usage: polluxctl %s%s\n\n%s%s", command->usage, any ? " [OPTION...]" : "",
           command->help, any ? "\n" : "");
    for (size_t i = 0; i < sizeof option_help / sizeof option_help[0]; i++)
        if (strchr(command->options, option_help[i].letter) != NULL)
            puts(option_help[i].text);
}

static int usage(void)
{
    fputs("Try polluxctl --help.\n", stderr);
    return CTL_USAGE;
}

/* ---- the command line */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const char *option_name(char letter)
{
    for (const struct option *o = long_options; o->name != NULL; o++)
        if (o->val == letter)
            return o->name;
    return "?";
}

static int read_time(const struct ctl *c, const char *option, const char *text, int64_t *ms)
{
    if (time_read(text, c->now_ms, ms))
        return CTL_OK;
    ctl_fail("--%s %s is no time; write 10m or 2h for so long ago, 12:30 for today, 2026-03-01 or "
             "\"2026-03-01 12:30:00\"",
             option, text);
    return CTL_USAGE;
}

static int read_lines(struct ctl *c, const char *text)
{
    if (span_int(span_of(text), &c->lines))
        return CTL_OK;
    ctl_fail("--lines %s is no number; write for instance -n 20", text);
    return CTL_USAGE;
}

/* What look_at_terminal() found holds for "auto". */
static int read_colour(struct ctl *c, const char *when)
{
    if (strcmp(when, "always") == 0 || strcmp(when, "never") == 0)
        c->colour = when[0] == 'a';
    else if (strcmp(when, "auto") != 0) {
        ctl_fail("--color is always, never or auto, and not %s", when);
        return CTL_USAGE;
    }
    return CTL_OK;
}

static int take_option(struct ctl *c, struct line *l, int letter)
{
    if (strchr("afjlnNSUV", letter) != NULL && strchr(l->given, letter) == NULL
        && l->given_count + 1 < sizeof l->given)
        l->given[l->given_count++] = (char)letter;
    switch (letter) {
    case 'a': c->all = true; return CTL_OK;
    case 'f': c->follow = true; return CTL_OK;
    case 'j': c->json = true; return CTL_OK;
    case 'l': c->whole_ids = true; return CTL_OK;
    case 'n': return read_lines(c, optarg);
    case 'S': return read_time(c, "since", optarg, &c->since_ms);
    case 'U': return read_time(c, "until", optarg, &c->until_ms);
    case 'N': c->nsp = optarg; return CTL_OK;
    case 'V': c->vacuum = true; return CTL_OK;
    case 'D': l->store = optarg; return CTL_OK;
    case 'C': l->config = optarg; return CTL_OK;
    case 'K': return read_colour(c, optarg);
    case 'h': l->help = true; return CTL_OK;
    case 'v': l->version = true; return CTL_OK;
    default: return usage();            /* getopt has said what is wrong */
    }
}

/* The words that are no options: the command, and what it is about. */
static int take_words(struct ctl *c, struct line *l, int count, char **words)
{
    if (count > 0 && strcmp(words[0], "help") == 0) {
        l->help = true;
        count--;
        words++;
    }
    if (count == 0) {
        if (l->help || l->version)
            return CTL_OK;
        ctl_fail("a command is missing");
        return usage();
    }
    if ((l->command = find_command(words[0])) == NULL) {
        ctl_fail("there is no command %s", words[0]);
        return usage();
    }
    if (l->help)
        return CTL_OK;
    c->argument = count > 1 ? words[1] : NULL;
    if (count > 2 || (count == 2 && l->command->takes == TAKES_NOTHING)) {
        ctl_fail("%s takes %s: polluxctl %s", l->command->name,
                 l->command->takes == TAKES_NOTHING ? "no argument"
                                                    : "one argument (quote a name that has spaces)",
                 l->command->usage);
        return usage();
    }
    if (count == 1 && l->command->takes == MUST_TAKE) {
        ctl_fail("%s needs an argument: polluxctl %s", l->command->name, l->command->usage);
        return usage();
    }
    return CTL_OK;
}

static int check_options(const struct line *l)
{
    for (size_t i = 0; i < l->given_count; i++)
        if (strchr(l->command->options, l->given[i]) == NULL) {
            ctl_fail("--%s does not go with %s; see polluxctl help %s", option_name(l->given[i]),
                     l->command->name, l->command->name);
            return CTL_USAGE;
        }
    return CTL_OK;
}

static int read_command_line(struct ctl *c, struct line *l, int argc, char **argv)
{
    int letter, status = CTL_OK;

    while (status == CTL_OK
           && (letter = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        status = take_option(c, l, letter);
    if (status == CTL_OK)
        status = take_words(c, l, argc - optind, argv + optind);
    if (status == CTL_OK && l->command != NULL && !l->help)
        status = check_options(l);
    if (c->follow && c->lines == -1)
        c->lines = FOLLOW_LINES;
    if (c->json)
        c->whole_ids = true;
    return status;
}

/* ---- where the store is, how things are shown */

/* Settings that are wrong stop only those who need them: a reader who named the store gets to
 * see it. */
static int find_store(struct ctl *c, const struct line *l)
{
    char *named = l->store != NULL ? l->store : getenv("POLLUX_STORE");
    const char *file = l->config != NULL ? l->config : getenv("POLLUX_CONFIG");
    char *found = file == NULL || file[0] == '\0' ? places_config() : NULL;
    struct buf why = BUF_EMPTY;
    int status = CTL_OK;

    if (named != NULL && named[0] == '\0')
        named = NULL;
    if (named == NULL || l->command->store == WRITES || l->config != NULL) {
        c->has_settings = true;
        if (settings_read(&c->set, file != NULL && file[0] != '\0' ? file : found, environ, &why)
                == -1
            || (named == NULL && settings_place(&c->set, &why) == -1))
            status = ctl_fail("%s", buf_text(&why));
    }
    c->dir = named != NULL ? named : c->set.store;
    free(found);
    buf_release(&why);
    return status;
}

static void look_at_terminal(struct ctl *c)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size;

    c->terminal = isatty(STDOUT_FILENO);
    c->colour = c->terminal && (no_colour == NULL || no_colour[0] == '\0') &&
                (term == NULL || strcmp(term, "dumb") != 0);
    if (c->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        c->width = size.ws_col;
}

static int run(struct ctl *c, struct line *l, int argc, char **argv)
{
    int status = read_command_line(c, l, argc, argv);

    if (status != CTL_OK)
        return status;
    if (l->version) {
        puts("polluxctl " PACKAGE_VERSION);
        return CTL_OK;
    }
    if (l->help) {
        if (l->command != NULL)
            print_command_help(l->command);
        else
            print_help();
        return CTL_OK;
    }
    if (l->command->store == NO_STORE)
        return l->command->run(c);
    if (find_store(c, l) != CTL_OK
        || (l->command->store == WRITES ? ctl_open_to_write(c) : ctl_open(c)) != CTL_OK)
        return CTL_FAILED;
    return l->command->run(c);
}

int main(int argc, char **argv)
{
    static struct ctl c = { .until_ms = INT64_MAX, .lines = -1 };
    struct line l = { 0 };
    struct timespec now;

    setlocale(LC_CTYPE, "");
    clock_gettime(CLOCK_REALTIME, &now);
    c.now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    look_at_terminal(&c);
    int status = run(&c, &l, argc, argv);
    ctl_close_store(&c);
    if (c.has_settings)
        settings_release(&c.set);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CTL_OK)
        status = CTL_FAILED;
    return status;
}
