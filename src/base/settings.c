/* settings.c - reads what an operator set: the defaults, then the INI file, then the environment.
 *
 * Owns the meaning of each kind of value and the sentences that refuse a wrong one. The keys
 * themselves stand in settings.def; libinih takes the file apart. Where the file is and what
 * becomes of the values is not known here.
 */
#include "base/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/places.h"

#define ENV_PREFIX "POLLUX_"
#define LONGEST_LINE 196        /* libinih splits longer ones without a word */
#define LONGEST_WORD 180        /* what fits on a line of its own, behind any key */
#define COMMENT_WIDTH 78

enum kind { KIND_INT, KIND_BOOL, KIND_TEXT, KIND_CHOICE };

/* What a text may hold; see settings.def. */
enum form {
    FORM_TEXT,
    FORM_DIRECTORY,
    FORM_FOLDER,
    FORM_PATH,
    FORM_NAMESPACES,            /* this and those that follow are lists */
    FORM_ORIGINS,
    FORM_HOSTS,
    FORM_ADDRESSES
};

/* One row of settings.def. */
struct key {
    const char *name;
    enum kind kind;
    enum form form;             /* of a text */
    size_t offset;              /* of the field in struct settings */
    int64_t number;             /* the default, unless it is a text */
    const char *text;           /* the default of a text */
    int64_t least, most;        /* INT alone */
    const char *choices;        /* CHOICE alone: "normal|full" */
    const char *help;
};

static const struct key keys[] = {
#define SETTING_INT(name, fallback, least, most, help) \
    { #name, KIND_INT, FORM_TEXT, offsetof(struct settings, name), fallback, NULL, least, most, \
      NULL, help },
#define SETTING_BOOL(name, fallback, help) \
    { #name, KIND_BOOL, FORM_TEXT, offsetof(struct settings, name), fallback, NULL, 0, 1, NULL, \
      help },
#define SETTING_TEXT(name, fallback, form, help) \
    { #name, KIND_TEXT, form, offsetof(struct settings, name), 0, fallback, 0, 0, NULL, help },
#define SETTING_CHOICE(name, fallback, choices, help) \
    { #name, KIND_CHOICE, FORM_TEXT, offsetof(struct settings, name), fallback, NULL, 0, 0, \
      choices, help },
#include "base/settings.def"
};

#define KEYS (sizeof keys / sizeof keys[0])

/* Where a value comes from, for messages, and what a relative path in it is relative to. */
struct origin {
    const char *file;           /* NULL: the environment */
    int line;
    const char *variable;       /* NULL: the file */
    const char *directory;      /* "." or that of the file */
};

/* Reading one file. */
struct reading {
    struct settings *s;
    struct buf *why;
    FILE *stream;
    struct origin at;           /* the line read last */
    bool indented;              /* that line begins with space */
    bool failed;                /* WHY says what is wrong; nothing more is read */
    const struct key *last;     /* the key that an indented line continues */
    bool seen[KEYS];
};

static void *field(struct settings *s, const struct key *key)
{
    return (char *)s + key->offset;
}

static const void *field_of(const struct settings *s, const struct key *key)
{
    return (const char *)s + key->offset;
}

/* Lists are texts whose words stand apart; in a file they may go on over several lines. */
static bool is_list(const struct key *key)
{
    return key->kind == KIND_TEXT && key->form >= FORM_NAMESPACES;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Begin the sentence: "/etc/pollux.conf:12: capacity " or "environment: POLLUX_CAPACITY ".
 * Returns -1. */
static int begin_why(struct buf *why, const struct origin *at, const struct key *key)
{
    buf_clear(why);
    if (at->variable != NULL)
        buf_addf(why, "environment: %s", at->variable);
    else
        buf_addf(why, "%s:%d: %s", at->file, at->line, key->name);
    buf_add_char(why, ' ');
    return -1;
}

static const char *unit(const struct key *key)
{
    static const struct { const char *ending, *unit; } units[] = {
        { "_ms", " milliseconds" },
        { "_bytes", " bytes" },
        { "_days", " days" },
        { "requests_per_second", " requests a second" },
        { "", "" },
    };
    size_t len = strlen(key->name);

    for (size_t i = 0;; i++) {
        size_t ending = strlen(units[i].ending);
        if (len >= ending && strcmp(key->name + len - ending, units[i].ending) == 0)
            return units[i].unit;
    }
}

/* Edits (insert, delete, replace, swap neighbours) that turn A into B, upper and lower case
 * alike; both short. */
static size_t distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    size_t rows[3][MOST + 1];
    size_t na = strlen(a), nb = strlen(b);

    if (na > MOST || nb > MOST)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            size_t best = above[j - 1] + (ca != cb);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2])
                    && cb == tolower((unsigned char)a[i - 2]) && two_above[j - 2] + 1 < best)
                best = two_above[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[na % 3][nb];
}

/* The key that NAME was probably meant to be, or NULL. A key cut short ("ping_interval") counts
 * as near. */
static const char *nearest(const char *name)
{
    size_t len = strlen(name);
    size_t best = len / 3 < 2 ? 2 : len / 3;
    const char *found = NULL;

    for (size_t i = 0; i < KEYS; i++) {
        if (len >= 4 && strncasecmp(keys[i].name, name, len) == 0)
            return keys[i].name;
        size_t d = distance(name, keys[i].name);
        if (d <= best && d < len) {
            best = d - (d > 0);         /* of two as near, the first */
            found = keys[i].name;
            if (d == 0)
                break;
        }
    }
    return found;
}

/* NAME (a key; a variable when UPPER) means nothing. Ends the sentence that was begun. Returns
 * -1. */
static int unknown(struct buf *why, const char *name, bool upper)
{
    const char *near = nearest(name);

    if (near == NULL) {
        buf_add_text(why, "; --print-config lists all keys");
        return -1;
    }
    buf_add_text(why, "; did you mean ");
    if (upper)
        buf_add_text(why, ENV_PREFIX);
    for (const char *p = near; *p != '\0'; p++)
        buf_add_char(why, (char)(upper ? toupper((unsigned char)*p) : *p));
    buf_add_char(why, '?');
    return -1;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int set_int(struct settings *s, const struct key *key, const char *value,
                   const struct origin *at, struct buf *why)
{
    int64_t number;

    if (span_int(span_of(value), &number) && number >= key->least && number <= key->most) {
        memcpy(field(s, key), &number, sizeof number);
        return 0;
    }
    begin_why(why, at, key);
    if (*value == '\0')
        buf_add_text(why, "has no value");
    else if (value[strspn(value, "0123456789")] != '\0')
        buf_addf(why, "is \"%s\", which is not a whole number", value);
    else
        buf_addf(why, "is %s, which is out of range", value);
    buf_addf(why, "; it takes %" PRId64 " to %" PRId64 "%s", key->least, key->most, unit(key));
    return -1;
}

static int set_bool(struct settings *s, const struct key *key, const char *value,
                    const struct origin *at, struct buf *why)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            bool truth = i % 2 == 1;
            memcpy(field(s, key), &truth, sizeof truth);
            return 0;
        }
    }
    begin_why(why, at, key);
    if (*value == '\0')
        buf_add_text(why, "has no value");
    else
        buf_addf(why, "is \"%s\"", value);
    buf_add_text(why, "; it takes yes or no");
    return -1;
}

/* The Nth word of CHOICES, empty after the last. */
static struct span choice(const char *choices, int n)
{
    while (n-- > 0) {
        choices += strcspn(choices, "|");
        choices += *choices == '|';
    }
    return (struct span){ choices, strcspn(choices, "|") };
}

static int set_choice(struct settings *s, const struct key *key, const char *value,
                      const struct origin *at, struct buf *why)
{
    struct span word;

    for (int i = 0; (word = choice(key->choices, i)).len > 0; i++) {
        if (strlen(value) == word.len && strncasecmp(value, word.p, word.len) == 0) {
            memcpy(field(s, key), &i, sizeof i);
            return 0;
        }
    }
    begin_why(why, at, key);
    if (*value == '\0')
        buf_add_text(why, "has no value");
    else
        buf_addf(why, "is \"%s\"", value);
    buf_add_text(why, "; it takes ");
    for (int i = 0; (word = choice(key->choices, i)).len > 0; i++) {
        if (i > 0)
            buf_add_text(why, choice(key->choices, i + 1).len > 0 ? ", " : " or ");
        buf_add_span(why, word);
    }
    return -1;
}

/* A text that could not be written into a file and read back is refused, whoever set it. */
static int check_text(const struct key *key, const char *value, const struct origin *at,
                      struct buf *why)
{
    size_t word = 0, len = strlen(value);
    char before = ' ';

    if (!is_list(key) && len > 0 && (value[0] == ' ' || value[len - 1] == ' ')) {
        begin_why(why, at, key);
        buf_add_text(why, "begins or ends with a space; leave it out");
        return -1;
    }
    for (const char *p = value; *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p)) {
            begin_why(why, at, key);
            buf_add_text(why, "holds a control character; write it as plain text on one line");
            return -1;
        }
        if (*p == ';' && before == ' ') {
            begin_why(why, at, key);
            buf_add_text(why, "holds a word that begins with ';', where a comment would begin; "
                              "leave it out");
            return -1;
        }
        word = is_list(key) && *p == ' ' ? 0 : word + 1;
        if (word > LONGEST_WORD) {
            begin_why(why, at, key);
            buf_addf(why, "is too long; %s takes at most %d bytes",
                     is_list(key) ? "each word" : "it", LONGEST_WORD);
            return -1;
        }
        before = *p;
    }
    return 0;
}

/* Take TEXT (given) as the value. */
static int put_text(struct settings *s, const struct key *key, char *text, struct buf *why)
{
    char **place = field(s, key);

    if (text == NULL) {
        buf_clear(why);
        buf_addf(why, "settings: no memory for the value of %s", key->name);
        return -1;
    }
    free(*place);
    *place = text;
    return 0;
}

/* Words apart by one space each. */
static char *tidy_list(const char *value)
{
    char *text = malloc(strlen(value) + 1), *end = text;

    if (text == NULL)
        return NULL;
    for (const char *p = value; *p != '\0'; p++)
        if (*p != ' ' || (end > text && end[-1] != ' '))
            *end++ = *p;
    if (end > text && end[-1] == ' ')
        end--;
    *end = '\0';
    return text;
}

/* DIRECTORY/VALUE from the root, without slashes at the end. NULL with errno. */
static char *absolute(const char *directory, const char *value)
{
    struct buf b = BUF_EMPTY;
    char here[PATH_MAX];
    char *text;

    if (value[0] != '/') {
        if (directory[0] != '/') {
            if (getcwd(here, sizeof here) == NULL)
                return NULL;
            buf_addf(&b, "%s/", here);
        }
        if (strcmp(directory, ".") != 0)
            buf_addf(&b, "%s/", directory);
        while (strncmp(value, "./", 2) == 0)
            value += 2;
    }
    buf_add_text(&b, strcmp(value, ".") == 0 ? "" : value);
    while (b.len > 1 && b.data[b.len - 1] == '/')
        b.len--;
    errno = ENOMEM;
    text = buf_ok(&b) ? strdup(buf_text(&b)) : NULL;
    buf_release(&b);
    return text;
}

/* What is wrong with one word of allowed_origins, or NULL. */
static const char *wrong_origin(struct span word)
{
    const char *host = memmem(word.p, word.len, "://", 3);
    size_t host_len;

    if (span_is(word, "*"))
        return NULL;
    if (host == NULL || host == word.p)
        return "has no scheme; write it like https://app.example";
    host += 3;
    host_len = word.len - (size_t)(host - word.p);
    if (host_len == 0)
        return "has no host; write it like https://app.example";
    if (memchr(host, '/', host_len) != NULL)
        return "goes on after the host; an origin ends there, like https://app.example";
    if (host_len > 2 && host[0] == '*' && host[1] == '.')
        host += 2, host_len -= 2;
    if (memchr(host, '*', host_len) != NULL)
        return "has its * in the wrong place; write it like https://*.example.org";
    return NULL;
}

/* What is wrong with one word of served_hosts, or NULL. */
static const char *wrong_host(struct span word)
{
    if (memchr(word.p, '/', word.len) != NULL)
        return "is more than a name; write it like call.example.org, without http:// and path";
    if (span_starts(word, "*.") && word.len > 2)
        word = (struct span){ word.p + 2, word.len - 2 };
    if (memchr(word.p, '*', word.len) != NULL)
        return "has its * in the wrong place; write it like *.example.org";
    const char *colon = memchr(word.p, ':', word.len);
    if (colon != NULL && colon == memrchr(word.p, ':', word.len))
        return "has a port; write the name alone";
    return NULL;
}

static const char *wrong_namespace(struct span word)
{
    if (word.p[0] != '/')
        return "does not begin with '/'";
    if (memchr(word.p, ',', word.len) != NULL)
        return "holds a comma; separate namespaces by spaces";
    if (memchr(word.p, '?', word.len) != NULL)
        return "holds a '?', which no namespace may";
    return NULL;
}

static const char *wrong_address(struct span word)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];

    if (span_is(word, "*") || span_is(word, "loopback"))
        return NULL;
    if (span_copy(word, text, sizeof text)
            && (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1))
        return NULL;
    return "is no address; write one like 192.0.2.7 or 2001:db8::7, or loopback, or *";
}

/* Let WRONG judge each word of VALUE. */
static int check_words(const struct key *key, const char *value, const char *(*wrong)(struct span),
                       const struct origin *at, struct buf *why)
{
    for (const char *p = value; *p != '\0'; ) {
        struct span word = { p, strcspn(p, " ") };
        const char *what = word.len > 0 ? wrong(word) : NULL;
        if (what != NULL) {
            begin_why(why, at, key);
            buf_addf(why, "names \"%.*s\", which %s", (int)word.len, word.p, what);
            return -1;
        }
        p += word.len + (p[word.len] == ' ');
    }
    return 0;
}

static bool is_url_path(const char *value)
{
    return *value == '/' && value[strcspn(value, " ?#%\"\\")] == '\0';
}

static int check_folder(const struct key *key, const char *value, const struct origin *at,
                        struct buf *why)
{
    if (*value == '\0' || (is_url_path(value) && value[strlen(value) - 1] == '/'))
        return 0;
    begin_why(why, at, key);
    buf_addf(why, "is \"%s\"; it begins and ends with '/' and holds no space, ?, #, %%, quote or "
                  "backslash, like /socket.io/, or it is empty",
             value);
    return -1;
}

static int check_path(const struct key *key, const char *value, const struct origin *at,
                      struct buf *why)
{
    if (*value == '\0' || is_url_path(value))
        return 0;
    begin_why(why, at, key);
    buf_addf(why, "is \"%s\"; it begins with '/' and holds no space, ?, #, %%, quote or backslash, "
                  "like /pollux-metrics, or it is empty",
             value);
    return -1;
}

/* TEXT, given, is the whole path of a directory: is it short enough, and does it still make a
 * line? */
static int put_directory(struct settings *s, const struct key *key, char *text,
                         const struct origin *at, struct buf *why)
{
    int code = 0;

    if (strlen(text) > LONGEST_WORD) {
        code = begin_why(why, at, key);
        buf_addf(why, "is too long: %s; the whole path takes at most %d bytes", text, LONGEST_WORD);
    } else {
        code = check_text(key, text, at, why);  /* slashes at its end may have hidden it */
    }
    if (code == 0)
        return put_text(s, key, text, why);
    free(text);
    return -1;
}

static int set_directory(struct settings *s, const struct key *key, const char *value,
                         const struct origin *at, struct buf *why)
{
    if (*value == '\0')
        return put_text(s, key, strdup(""), why);
    char *text = absolute(at->directory, value);
    if (text != NULL)
        return put_directory(s, key, text, at, why);
    begin_why(why, at, key);
    buf_addf(why,
             "is \"%s\", and what that is relative to cannot be told: %s; write the whole path",
             value, strerror(errno));
    return -1;
}

static int set_list(struct settings *s, const struct key *key, const char *value,
                    const struct origin *at, struct buf *why)
{
    static const char *(*const wrong[])(struct span word) = {
        [FORM_NAMESPACES] = wrong_namespace,
        [FORM_ORIGINS] = wrong_origin,
        [FORM_HOSTS] = wrong_host,
        [FORM_ADDRESSES] = wrong_address,
    };

    if (check_words(key, value, wrong[key->form], at, why) == -1)
        return -1;
    char *text = tidy_list(value);
    if (text != NULL && *text == '\0' && key->form == FORM_NAMESPACES) {
        free(text);
        text = strdup("/");
    }
    return put_text(s, key, text, why);
}

static int set_text(struct settings *s, const struct key *key, const char *value,
                    const struct origin *at, struct buf *why)
{
    if (check_text(key, value, at, why) == -1
        || (key->form == FORM_FOLDER && check_folder(key, value, at, why) == -1)
        || (key->form == FORM_PATH && check_path(key, value, at, why) == -1))
        return -1;
    if (is_list(key))
        return set_list(s, key, value, at, why);
    if (key->form == FORM_DIRECTORY)
        return set_directory(s, key, value, at, why);
    return put_text(s, key, strdup(value), why);
}

static int set(struct settings *s, const struct key *key, const char *value,
               const struct origin *at, struct buf *why)
{
    if (key->offset == offsetof(struct settings, max_payload_bytes))
        s->payload_given = true;
    switch (key->kind) {
    case KIND_INT:
        return set_int(s, key, value, at, why);
    case KIND_BOOL:
        return set_bool(s, key, value, at, why);
    case KIND_TEXT:
        return set_text(s, key, value, at, why);
    case KIND_CHOICE:
        return set_choice(s, key, value, at, why);
    }
    return -1;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* One line for libinih, as fgets() would. libinih neither counts lines for its handler nor
 * notices long ones. */
static char *next_line(char *line, int cap, void *data)
{
    struct reading *r = data;
    int c, len = 0;

    if (r->failed)
        return NULL;
    r->at.line++;
    while ((c = getc(r->stream)) != EOF) {
        if (c == '\0' || len >= cap - 2 || len > LONGEST_LINE) {
            buf_clear(r->why);
            buf_addf(r->why, "%s:%d: ", r->at.file, r->at.line);
            if (c == '\0')
                buf_add_text(r->why, "the line holds a NUL byte; is this a text file?");
            else
                buf_addf(r->why, "the line is longer than %d bytes; continue lists on further "
                                 "lines "
                                 "that begin with a space", LONGEST_LINE);
            r->failed = true;
            return NULL;
        }
        line[len++] = (char)c;
        if (c == '\n')
            break;
    }
    line[len] = '\0';
    r->indented = line[0] == ' ' || line[0] == '\t';
    return len > 0 ? line : NULL;
}

/* An indented line goes on with the list above it. libinih calls with the same name once more. */
static int continue_list(struct reading *r, const char *value)
{
    struct buf whole = BUF_EMPTY;
    const char *const *text = field_of(r->s, r->last);
    int result;

    if (!is_list(r->last)) {
        begin_why(r->why, &r->at, r->last);
        buf_add_text(r->why, "ends on the line above, and this line begins with a space, which "
                             "would continue "
                             "it; begin keys at the start of the line");
        return -1;
    }
    buf_addf(&whole, "%s %s", *text, value);
    if (buf_ok(&whole))
        result = set(r->s, r->last, buf_text(&whole), &r->at, r->why);
    else
        result = put_text(r->s, r->last, NULL, r->why);
    buf_release(&whole);
    return result;
}

static int take_pair(struct reading *r, const char *section, const char *name, const char *value)
{
    if (section[0] != '\0' && strcmp(section, "pollux") != 0) {
        buf_clear(r->why);
        buf_addf(r->why, "%s:%d: the section [%s] is not known; keys stand under [pollux] or "
                         "under none",
                 r->at.file, r->at.line, section);
        return -1;
    }
    if (r->last != NULL && r->indented && strcmp(name, r->last->name) == 0)
        return continue_list(r, value);

    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        if (r->seen[i]) {
            begin_why(r->why, &r->at, &keys[i]);
            buf_add_text(r->why, "is set a second time; leave one of the two");
            return -1;
        }
        r->seen[i] = true;
        r->last = &keys[i];
        return set(r->s, &keys[i], value, &r->at, r->why);
    }
    buf_clear(r->why);
    buf_addf(r->why, "%s:%d: there is no key \"%s\"", r->at.file, r->at.line, name);
    return unknown(r->why, name, false);
}

static int take_line(void *data, const char *section, const char *name, const char *value)
{
    struct reading *r = data;

    if (r->failed)
        return 1;
    r->failed = take_pair(r, section, name, value) == -1;
    return !r->failed;
}

/* The directory that FILE is in: a copy, or NULL. */
static char *directory_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    if (slash == NULL)
        return strdup(".");
    return strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

/* Append line N of STREAM for a message: without space around it, and no more than its beginning.
 * */
static void quote_line(struct buf *out, FILE *stream, int n)
{
    enum { MOST = 60 };
    int c, line = 1;
    size_t len = 0;

    rewind(stream);
    while ((c = getc(stream)) != EOF && (line < n || c != '\n') && len < MOST) {
        if (line == n && (len > 0 || !isspace(c))) {
            buf_add_char(out, (char)(iscntrl(c) ? ' ' : c));
            len++;
        }
        line += c == '\n';
    }
    while (len > 0 && out->len > 0 && out->data[out->len - 1] == ' ')
        out->len--;
    if (len == MOST)
        buf_add_text(out, "...");
}

static int read_file(struct settings *s, const char *file, struct buf *why)
{
    struct reading r = { .s = s, .why = why, .at = { .file = file } };
    char *directory = directory_of(file);
    int bad_line;

    r.at.directory = directory;
    r.stream = directory != NULL ? fopen(file, "re") : NULL;
    if (r.stream == NULL) {
        buf_clear(why);
        buf_addf(why, "%s: cannot open the configuration: %s; name it with --config FILE or "
                      "POLLUX_CONFIG",
                 file, strerror(errno));
        free(directory);
        return -1;
    }
    bad_line = ini_parse_stream(next_line, &r, take_line, &r);
    if (bad_line > 0 && (!r.failed || bad_line < r.at.line)) {
        buf_clear(why);
        buf_addf(why, "%s:%d: \"", file, bad_line);
        quote_line(why, r.stream, bad_line);
        buf_add_text(why, "\" is neither \"key = value\" nor \"[pollux]\" nor a comment (# at "
                          "its start)");
        r.failed = true;
    } else if (!r.failed && ferror(r.stream)) {
        buf_clear(why);
        buf_addf(why, "%s: cannot read the configuration: %s", file, strerror(errno));
        r.failed = true;
    }
    fclose(r.stream);
    free(directory);
    return r.failed ? -1 : 0;
}

/* ---- the environment ------------------------------------------------------------------------- */

/* Variables that begin as ours do and are for others: who starts, builds and tests the program. */
static bool is_for_others(struct span name)
{
    return span_is(name, "POLLUX_CONFIG") || span_is(name, "POLLUX_BIN")
        || span_is(name, "POLLUX_BUILD") || span_starts(name, "POLLUX_TEST_");
}

/* The key that the variable NAME sets, or NULL. */
static const struct key *key_of_variable(const char *name)
{
    const char *rest = name + strlen(ENV_PREFIX);

    for (size_t i = 0; i < KEYS; i++) {
        const char *k = keys[i].name;
        size_t n = 0;
        while (k[n] != '\0' && rest[n] == (char)toupper((unsigned char)k[n]))
            n++;
        if (k[n] == '\0' && rest[n] == '\0')
            return &keys[i];
    }
    return NULL;
}

static int take_variable(struct settings *s, const char *entry, struct buf *why)
{
    const char *equals = strchr(entry, '=');
    struct origin at = { .directory = "." };
    const struct key *key;
    char *name;
    int result;

    if (equals == NULL || is_for_others((struct span){ entry, (size_t)(equals - entry) }))
        return 0;
    name = strndup(entry, (size_t)(equals - entry));
    if (name == NULL) {
        buf_clear(why);
        buf_add_text(why, "environment: no memory");
        return -1;
    }
    at.variable = name;
    key = key_of_variable(name);
    if (key != NULL) {
        result = set(s, key, equals + 1, &at, why);
    } else {
        buf_clear(why);
        buf_addf(why, "environment: %s sets no key", name);
        result = unknown(why, name + strlen(ENV_PREFIX), true);
    }
    free(name);
    return result;
}

static int read_environment(struct settings *s, char *const envp[], struct buf *why)
{
    for (size_t i = 0; envp != NULL && envp[i] != NULL; i++)
        if (strncmp(envp[i], ENV_PREFIX, strlen(ENV_PREFIX)) == 0
                && take_variable(s, envp[i], why) == -1)
            return -1;
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int fill_defaults(struct settings *s, struct buf *why)
{
    const struct origin at = { .file = "defaults", .directory = "/" };

    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = &keys[i];
        if (key->kind == KIND_TEXT) {
            if (set_text(s, key, key->text, &at, why) == -1)
                return -1;
        } else if (key->kind == KIND_INT) {
            memcpy(field(s, key), &key->number, sizeof key->number);
        } else if (key->kind == KIND_BOOL) {
            bool truth = key->number != 0;
            memcpy(field(s, key), &truth, sizeof truth);
        } else {
            int index = (int)key->number;
            memcpy(field(s, key), &index, sizeof index);
        }
    }
    return 0;
}

/* What each value alone cannot show. That the log (a day at least, or 0: until arrival) outlives
 * the recovery window (a day at most) follows from their ranges. */
static int check_together(const struct settings *s, struct buf *why)
{
    if (s->max_queued_bytes < s->max_payload_bytes) {
        buf_clear(why);
        buf_addf(why,
            "settings: max_queued_bytes (%" PRId64 ") is less than max_payload_bytes (%" PRId64
                      "), so that the largest payload could never be delivered; raise the one or "
                      "lower the other",
                 s->max_queued_bytes, s->max_payload_bytes);
        return -1;
    }
    if (s->path[0] != '\0' && strcmp(s->metrics_path, s->path) == 0) {
        buf_clear(why);
        buf_addf(why,
                 "settings: metrics_path and path are both %s, so that no client could connect; "
                 "choose another metrics_path",
                 s->path);
        return -1;
    }
    return 0;
}

int settings_read(struct settings *s, const char *file, char *const envp[], struct buf *why)
{
    if (fill_defaults(s, why) == -1)
        return -1;
    if (file != NULL && read_file(s, file, why) == -1)
        return -1;
    if (file != NULL && (s->file = strdup(file)) == NULL) {
        buf_clear(why);
        buf_addf(why, "%s: no memory for the settings", file);
        return -1;
    }
    if (read_environment(s, envp, why) == -1)
        return -1;
    return check_together(s, why);
}

void settings_release(struct settings *s)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].kind == KIND_TEXT) {
            char **text = field(s, &keys[i]);
            free(*text);
            *text = NULL;
        }
    }
    free(s->file);
    s->file = NULL;
}

int settings_place(struct settings *s, struct buf *why)
{
    if (s->store[0] != '\0')
        return 0;
    char *store = places_store(why);
    if (store == NULL)
        return -1;
    free(s->store);
    s->store = store;
    return 0;
}

void settings_fit_fcgid(struct settings *s)
{
    if (!s->payload_given)
        s->max_payload_bytes = SETTINGS_FCGID_PAYLOAD;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* TEXT as comment lines, wrapped between words. */
static void print_comment(struct buf *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > COMMENT_WIDTH) {
            buf_add_char(out, '\n');
            column = 0;
        }
        buf_add_char(out, column == 0 ? '#' : ' ');
        if (column == 0)
            buf_add_char(out, ' ');
        buf_add(out, text, word);
        column += word + (column == 0 ? 2 : 1);
        text += word;
        text += strspn(text, " ");
    }
    buf_add_char(out, '\n');
}

/* What values KEY takes and which it has when nothing is set. */
static void print_range(struct buf *out, const struct key *key)
{
    struct buf text = BUF_EMPTY;
    struct span fallback;

    switch (key->kind) {
    case KIND_INT:
        buf_addf(&text, "%" PRId64 " to %" PRId64 "%s; default %" PRId64,
                 key->least, key->most, unit(key), key->number);
        break;
    case KIND_BOOL:
        buf_addf(&text, "yes or no; default %s", key->number != 0 ? "yes" : "no");
        break;
    case KIND_TEXT:
        buf_addf(&text, "default %s", *key->text != '\0' ? key->text : "empty");
        break;
    case KIND_CHOICE:
        fallback = choice(key->choices, (int)key->number);
        for (int i = 0; choice(key->choices, i).len > 0; i++) {
            struct span word = choice(key->choices, i);
            buf_addf(&text, "%s%.*s", i > 0 ? ", " : "", (int)word.len, word.p);
        }
        buf_addf(&text, "; default %.*s", (int)fallback.len, fallback.p);
        break;
    }
    if (!buf_ok(&text))
        out->failed = true;
    buf_addf(out, "# (%s)\n", buf_text(&text));
    buf_release(&text);
}

/* "key = word word", going on over further lines where one would be too long. */
static void print_text(struct buf *out, const struct key *key, const char *text)
{
    size_t column = strlen(key->name) + 2;

    buf_addf(out, "%s =", key->name);
    if (!is_list(key)) {
        buf_addf(out, "%s%s\n", *text != '\0' ? " " : "", text);
        return;
    }
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column + 1 + word > LONGEST_LINE) {
            buf_add_text(out, "\n   ");
            column = 4;
        }
        buf_add_char(out, ' ');
        buf_add(out, text, word);
        column += 1 + word;
        text += word;
        text += strspn(text, " ");
    }
    buf_add_char(out, '\n');
}

void settings_print(const struct settings *s, struct buf *out)
{
    print_comment(out, "Settings of pollux.fcgi; see pollux.conf(5). Each key can also be set by "
                       "an environment "
                       "variable, which wins: capacity by POLLUX_CAPACITY, and so on. Lists go "
                       "on over further "
                       "lines that begin with a space.");
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = &keys[i];
        const void *value = field_of(s, key);

        buf_add_char(out, '\n');
        print_comment(out, key->help);
        print_range(out, key);
        if (key->kind == KIND_TEXT) {
            print_text(out, key, *(const char *const *)value);
            continue;
        }
        buf_addf(out, "%s = ", key->name);
        if (key->kind == KIND_INT)
            buf_add_int(out, *(const int64_t *)value);
        else if (key->kind == KIND_BOOL)
            buf_add_text(out, *(const bool *)value ? "yes" : "no");
        else
            buf_add_span(out, choice(key->choices, *(const int *)value));
        buf_add_char(out, '\n');
    }
}
