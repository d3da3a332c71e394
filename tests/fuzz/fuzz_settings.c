/* fuzz_settings.c - any configuration: it is refused with one sentence, or taken with every value
 * in its range; and then what --print-config writes is read back as the same.
 *
 * The input is the file, then variables of the environment, each behind a 0x1e.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "base/settings.h"

#define SEPARATOR '\x1e'
#define VARIABLES_MAX 32

static char *const no_environment[] = { NULL };

/* The name of a file in memory that holds TEXT. One at a time. */
static const char *file_of(struct span text)
{
    static char name[32];
    static int fd = -1;

    if (fd == -1)
        fd = memfd_create("settings", MFD_CLOEXEC);
    must(fd != -1 && ftruncate(fd, 0) == 0);
    must(pwrite(fd, text.p, text.len, 0) == (ssize_t)text.len);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return name;
}

static void try_ranges(const struct settings *s)
{
#define SETTING_INT(name, fallback, least, most, help) \
    must(s->name >= (least) && s->name <= (most));
#define SETTING_BOOL(name, fallback, help) must(s->name == true || s->name == false);
#define SETTING_TEXT(name, fallback, form, help) must(s->name != NULL);
#define SETTING_CHOICE(name, fallback, choices, help) must(s->name >= 0 && s->name < 4);
#include "base/settings.def"
    must(s->store[0] == '/' || s->store[0] == '\0');
    must(s->max_queued_bytes >= s->max_payload_bytes);
    must(s->path[0] == '\0' || (s->path[0] == '/' && s->path[strlen(s->path) - 1] == '/'));
    must(s->namespaces[0] == '/');
}

static void try_same(const struct settings *a, const struct settings *b)
{
#define SETTING_INT(name, fallback, least, most, help) must(a->name == b->name);
#define SETTING_BOOL(name, fallback, help) must(a->name == b->name);
#define SETTING_TEXT(name, fallback, form, help) must(strcmp(a->name, b->name) == 0);
#define SETTING_CHOICE(name, fallback, choices, help) must(a->name == b->name);
#include "base/settings.def"
}

static void try_printed(const struct settings *s)
{
    struct settings second;
    struct buf text = BUF_EMPTY, again = BUF_EMPTY, why = BUF_EMPTY;

    settings_print(s, &text);
    must(buf_ok(&text));
    int code = settings_read(&second, file_of(buf_span(&text)), no_environment, &why);
    if (code == -1)
        fprintf(stderr, "%s\n%s", buf_text(&why), buf_text(&text));
    must(code == 0);
    try_same(s, &second);
    settings_print(&second, &again);
    must(span_equals(buf_span(&again), buf_span(&text)));
    settings_release(&second);
    buf_release(&text);
    buf_release(&again);
    buf_release(&why);
}

/* "FILE:1: ...", "environment: ..." or "settings: ...", and more than that. */
static void try_refusal(struct buf *why, const char *file)
{
    const char *text = buf_text(why);

    must(buf_ok(why) && strlen(text) == why->len && why->len > 20);
    must(strncmp(text, file, strlen(file)) == 0 || span_starts(buf_span(why), "environment: ")
         || span_starts(buf_span(why), "settings: "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of_input(data, size), text = SPAN(""), entry;
    char *environment[VARIABLES_MAX + 1];
    size_t count = 0;
    struct settings s;
    struct buf why = BUF_EMPTY;

    take_piece(&rest, SEPARATOR, &text);
    while (count < VARIABLES_MAX && take_piece(&rest, SEPARATOR, &entry))
        environment[count++] = text_of(entry);
    environment[count] = NULL;
    const char *file = file_of(text);
    if (settings_read(&s, file, environment, &why) == -1) {
        try_refusal(&why, file);
    } else {
        must(why.len == 0);
        try_ranges(&s);
        try_printed(&s);
    }
    settings_release(&s);
    buf_release(&why);
    while (count > 0)
        free(environment[--count]);
    return 0;
}
