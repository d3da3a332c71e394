/* doctor.c - one function a matter, in the order in which they stand in the way. */
#include "run/doctor.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/places.h"
#include "base/stats.h"
#include "store/store.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define ROOM_BAD (INT64_C(20) << 20)
#define ROOM_LITTLE (INT64_C(500) << 20)
#define FILES_FEW 1024
#define PROCESSES_FEW 25
#define MEMORY_FEW (UINT64_C(64) << 20)
#define CLOCK_LEAST 1735689600          /* 2025 */
#define CLOCK_AHEAD_S 60

enum finding { WELL, LOOK, BAD };

struct doctor {
    bool bad;
};

/* "ok    store     in /home/anna/pollux-data" */
static void say(struct doctor *d, enum finding finding, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct doctor *d, enum finding finding, const char *what, const char *format, ...)
{
    static const char *const words[] = { [WELL] = "ok", [LOOK] = "look", [BAD] = "BAD" };
    va_list ap;

    printf("%-5s %-9s ", words[finding], what);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    d->bad = d->bad || finding == BAD;
}

static void advise(const char *advice)
{
    printf("                %s\n", advice);
}

/* ---- the program and who it is */

static void look_at_program(struct doctor *d)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    struct stat st;

    path[len > 0 ? len : 0] = '\0';
    bool known = len > 0 && stat(path, &st) == 0;
    enum finding finding = known && (st.st_mode & S_IXOTH) == 0 ? LOOK : WELL;
    say(d, finding, "program", "pollux.fcgi " PACKAGE_VERSION ", %s, %s", store_library(),
        known ? path : "its file is not known");
    if (finding == LOOK)
        advise("others may not start it: chmod 755, as Apache with suEXEC wants it");
}

static void look_at_user(struct doctor *d)
{
    char *home = places_home();
    bool root = geteuid() == 0;

    say(d, root ? LOOK : WELL, "user", "%ld, home %s", (long)geteuid(),
        home != NULL ? home : "(none)");
    if (root)
        advise("the web server runs it as somebody else: let that one ask, by su or setpriv");
    free(home);
}

/* ---- the store */

/* Is PATH in a folder that web servers commonly show, or in this program's, which was uploaded with
 * an .htaccess? For sure the program knows only when a request comes. */
static bool seems_served(const char *path)
{
    static const char *const names[] = { "/public_html/", "/htdocs/", "/www/html/", "/httpdocs/",
                                         "/wwwroot/" };
    char *program = places_program(), access_file[PATH_MAX];
    const char *root = getenv("DOCUMENT_ROOT");
    bool served = root != NULL && places_is_below(path, root);
    struct stat st;

    for (size_t i = 0; !served && i < sizeof names / sizeof names[0]; i++)
        served = strstr(path, names[i]) != NULL;
    if (!served && program != NULL) {
        snprintf(access_file, sizeof access_file, "%s/.htaccess", program);
        served = stat(access_file, &st) == 0 && places_is_below(path, program);
    }
    free(program);
    return served;
}

static void look_at_settings(struct doctor *d, const struct settings *set)
{
    struct stat st;
    bool open = set->file != NULL && seems_served(set->file) && stat(set->file, &st) == 0
                && (st.st_mode & (S_IRGRP | S_IROTH)) != 0;

    say(d, open ? LOOK : WELL, "settings", "%s", set->file != NULL ? set->file : "the defaults");
    if (open)
        advise("that folder seems to be shown to everybody: chmod 600, or keep it in your home");
}

static void look_at_room(struct doctor *d, const char *store)
{
    struct store_figures sizes = { 0 };
    struct stat st;

    if (stat(store, &st) == -1)
        return;                         /* it is to be created yet */
    stats_sizes(&sizes, store);
    int64_t left = sizes.disk_free_bytes;
    say(d, left < ROOM_BAD ? BAD : left < ROOM_LITTLE ? LOOK : WELL, "disk",
        "%lld MB free, the store has %lld MB", (long long)(left >> 20),
        (long long)((sizes.database_bytes + sizes.wal_bytes) >> 20));
    if (left < ROOM_LITTLE)
        advise("free some space, or keep less: log_max_bytes and log_age_days in pollux.conf");
}

static void look_at_store(struct doctor *d, struct settings *set)
{
    struct buf why = BUF_EMPTY;
    struct stat st;

    if (settings_place(set, &why) == -1 || store_probe(set, &why) == -1) {
        say(d, BAD, "store", "%s", buf_text(&why));
    } else if (seems_served(set->store)) {
        say(d, BAD, "store", "%s lies where the web server shows it to everybody", set->store);
        advise("move it, and say where: store = /home/you/pollux-data");
    } else {
        bool there = stat(set->store, &st) == 0;
        bool open = there && (st.st_mode & 077) != 0;
        say(d, open ? LOOK : WELL, "store", "%s%s", set->store, there ? "" : ", to be created");
        if (open)
            advise("others may look into it: chmod 700");
        if (there && store_is_on_network(set)) {
            say(d, LOOK, "store", "is on a network file system: slower, and one machine only");
            advise("if there is a local disk, say where: store = /var/lib/pollux");
        }
        look_at_room(d, set->store);
    }
    buf_release(&why);
}

/* ---- the machine */

static void look_at_limit(struct doctor *d, int which, const char *name, uint64_t few,
                          const char *advice)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)which, &limit) == -1)
        return;
    bool low = limit.rlim_max != RLIM_INFINITY && limit.rlim_max < few;
    if (limit.rlim_max == RLIM_INFINITY)
        say(d, WELL, "limits", "%s: none", name);
    else
        say(d, low ? LOOK : WELL, "limits", "%s: %llu", name,
            (unsigned long long)limit.rlim_max);
    if (low)
        advise(advice);
}

static void look_at_limits(struct doctor *d)
{
    look_at_limit(d, RLIMIT_NOFILE, "open files", FILES_FEW,
                  "each poll that waits takes one: ask for more, or expect few clients");
    look_at_limit(d, RLIMIT_NPROC, "processes", PROCESSES_FEW,
                  "as CGI and under mod_fcgid each poll that waits takes one: say slots = half of "
                  "that");
    look_at_limit(d, RLIMIT_AS, "memory", MEMORY_FEW,
                  "lower max_payload_bytes and max_queued_bytes, or ask for more");
}

static void look_at_clock(struct doctor *d, const struct settings *set)
{
    char path[PATH_MAX], shown[40];
    time_t now = time(NULL);
    struct stat st;
    struct tm tm;

    strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
    snprintf(path, sizeof path, "%s/pollux.db", set->store);
    if (now < CLOCK_LEAST) {
        say(d, BAD, "clock", "%s: it has not been set", shown);
    } else if (stat(path, &st) == 0 && st.st_mtime > now + CLOCK_AHEAD_S) {
        say(d, LOOK, "clock", "%s, and the store was written %lld s later", shown,
            (long long)(st.st_mtime - now));
        advise("the machine's clock was set back, or the file server's differs: set it by NTP");
    } else {
        say(d, WELL, "clock", "%s", shown);
    }
}

int doctor(struct settings *set, const char *wrong)
{
    struct doctor d = { .bad = false };

    look_at_program(&d);
    look_at_user(&d);
    if (wrong != NULL) {
        say(&d, BAD, "settings", "%s", wrong);
    } else {
        look_at_settings(&d, set);
        look_at_store(&d, set);
        look_at_clock(&d, set);
    }
    look_at_limits(&d);
    puts(d.bad ? "Something stands in the way: see BAD."
               : "Nothing stands in the way here. How the web server treats it, doctor.html "
                 "measures in a browser.");
    return fflush(stdout) != 0 || d.bad;
}
