/* replay.c - run a fuzz target without libFuzzer: over each file given, or each file of a folder
 * given, and over pseudo-random changes to them, the same ones each time.
 *
 *     replay [-n CHANGES] [-k FILE] [FILE or FOLDER ...]
 *
 * -n: how many changed inputs to try (default 20000). -k: keep the input under test in FILE, to
 * have it after a crash (slow). Without files: tests/fuzz/corpus/NAME below $srcdir, for a program
 * named fuzz_NAME.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *data;
    size_t size;
};

#define INPUTS_MAX 4096
#define SIZE_LIMIT 65536

static struct {
    struct input inputs[INPUTS_MAX];
    size_t count;
    const char *keep;           /* file for the input under test, or NULL */
    uint64_t random;            /* state of the generator */
} replay = { .random = UINT64_C(0x9e3779b97f4a7c15) };

static void give_up(const char *what, const char *name)
{
    fprintf(stderr, "replay: %s: ", name);
    perror(what);
    exit(1);
}

/* xorshift64*; BELOW more than 0. */
static size_t any(size_t below)
{
    replay.random ^= replay.random >> 12;
    replay.random ^= replay.random << 25;
    replay.random ^= replay.random >> 27;
    return (size_t)((replay.random * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % below;
}

/* Run the target over a copy of just its size, so that reading past its end is seen. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);

    if (copy == NULL)
        give_up("malloc", "input");
    memcpy(copy, data, size);
    if (replay.keep != NULL) {
        FILE *f = fopen(replay.keep, "wb");
        if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
            give_up("write", replay.keep);
    }
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void read_file(const char *name, size_t size)
{
    FILE *f = fopen(name, "rb");
    struct input *in = &replay.inputs[replay.count];

    if (replay.count == INPUTS_MAX)
        return;
    in->data = malloc(size != 0 ? size : 1);
    if (f == NULL || in->data == NULL)
        give_up("open", name);
    in->size = fread(in->data, 1, size, f);
    fclose(f);
    replay.count++;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void read_input(const char *name)
{
    struct dirent **entries;
    struct stat st;

    if (stat(name, &st) == -1)
        give_up("stat", name);
    if (!S_ISDIR(st.st_mode)) {
        read_file(name, (size_t)st.st_size);
        return;
    }
    int count = scandir(name, &entries, not_hidden, alphasort);
    if (count == -1)
        give_up("scandir", name);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", name, entries[i]->d_name);
        free(entries[i]);
        read_input(path);
    }
    free(entries);
}

/* Put LEN bytes at P in place of CUT bytes at AT. Returns the new size. */
static size_t splice(uint8_t *text, size_t size, size_t at, size_t cut, const void *p, size_t len)
{
    if (size - cut + len > SIZE_LIMIT)
        return size;
    memmove(text + at + len, text + at + cut, size - at - cut);
    memcpy(text + at, p, len);
    return size - cut + len;
}

/* Change TEXT, with room for SIZE_LIMIT bytes, in one place. */
static size_t change(uint8_t *text, size_t size)
{
    static const char *const words[] = {
        "\x1e", "{\"_placeholder\":true,\"num\":0}", "\\ud800", "\\u0000", "\"", "\\", "[", "]",
        "{", "}", ",", ":", "1e400", "-", "12345678901234567890", "42[\"a\"", "451-[\"a\",",
        "bAQID",
        "/chat,", "null", "\xc3\xa9", "\xed\xa0\x80", "\xff", "10.0.0.1", "::", "fe80::1", "sid=",
        "%41", "&", "https://", "\r\n", "0", "9",
        "\n ", "\nHTTP_ORIGIN=", "\nHTTP_HOST=", "capacity = 3\n", "POLLUX_STORE=", " ; ", "no",
    };
    static const char nothing[1] = "";
    size_t at = any(size + 1), left = size - at;
    const struct input *other = &replay.inputs[any(replay.count)];
    uint8_t byte = (uint8_t)any(256);
    const char *word = words[any(sizeof words / sizeof words[0])];

    switch (any(6)) {
    case 0:
        return splice(text, size, at, left != 0, &byte, 1);
    case 1:
        return splice(text, size, at, 0, &byte, 1);
    case 2:
        return splice(text, size, at, left != 0 ? any(left < 16 ? left : 16) + 1 : 0, nothing, 0);
    case 3:
        return splice(text, size, at, 0, word, strlen(word));
    case 4:
        if (left != 0)
            text[at] = (uint8_t)(text[at] ^ (1u << any(8)));
        return size;
    default: {
        size_t from = any(other->size + 1);
        return splice(text, size, at, any(left + 1), other->data + from,
                      any(other->size - from + 1));
    }
    }
}

static void run_changed(void)
{
    static uint8_t text[SIZE_LIMIT];
    const struct input *in = &replay.inputs[any(replay.count)];
    size_t size = in->size < SIZE_LIMIT ? in->size : SIZE_LIMIT;

    memcpy(text, in->data, size);
    for (size_t times = any(6) + 1; times > 0; times--)
        size = change(text, size);
    run(text, size);
}

static void read_default(const char *program)
{
    const char *srcdir = getenv("srcdir"), *name = strrchr(program, '_');
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".",
             name != NULL ? name + 1 : "");
    read_input(path);
}

int main(int argc, char **argv)
{
    long changes = 20000;
    int option;

    while ((option = getopt(argc, argv, "n:k:")) != -1) {
        if (option == 'n')
            changes = atol(optarg);
        else if (option == 'k')
            replay.keep = optarg;
        else
            return 2;
    }
    for (int i = optind; i < argc; i++)
        read_input(argv[i]);
    if (optind == argc)
        read_default(argv[0]);
    for (size_t i = 0; i < replay.count; i++)
        run(replay.inputs[i].data, replay.inputs[i].size);
    for (long i = 0; i < changes && replay.count != 0; i++)
        run_changed();
    printf("%zu inputs, %ld changes\n", replay.count, changes);
    for (size_t i = 0; i < replay.count; i++)
        free(replay.inputs[i].data);
    return replay.count != 0 ? 0 : 1;
}
