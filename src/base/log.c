/* log.c - lines for operators on standard error. Holds the level, and of what happens often how
 * often it did since it was last told. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level highest = LOG_INFO;

static const struct log_entry entries[] = {
#define LOG_CODE(code, level, area, meaning, advice) { #code, level, area, meaning, advice },
#include "base/log.def"
};

const struct log_entry *log_entry(enum log_code code)
{
    return &entries[code];
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };

    return names[level];
}

void log_set_level(enum log_level level)
{
    highest = level;
}

enum log_level log_get_level(void)
{
    return highest;
}

static int stamp(char *out, size_t cap)
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &utc);
    return (int)len + snprintf(out + len, cap - len, ".%03ldZ", now.tv_nsec / 1000000);
}

void log_line(enum log_code code, const char *who, const char *format, ...)
{
    const struct log_entry *e = &entries[code];
    char line[1024];
    va_list ap;

    if (e->level > highest)
        return;
    int len = stamp(line, sizeof line);
    len += snprintf(line + len, sizeof line - (size_t)len, " %s %s %s %s: ",
                    log_level_name(e->level), e->code, e->area, who != NULL ? who : "-");
    va_start(ap, format);
    int more = vsnprintf(line + len, sizeof line - (size_t)len, format, ap);
    va_end(ap);
    if (more > 0)
        len += more;
    if ((size_t)len > sizeof line - 2)
        len = sizeof line - 2;
    for (int i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)len) == -1)
        return;                         /* nowhere left to say it */
}

/* ---- what happens often */

static struct often {
    int64_t told_s;                     /* when a line of it was written */
    size_t untold;                      /* how many there were since */
    bool told;                          /* ever */
    char who[64], text[512];            /* of the last of them */
} often[LOG_CODES];

static int64_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool is_quiet(const struct often *o, int64_t now_s)
{
    return !o->told || now_s - o->told_s >= LOG_QUIET_S;
}

static void tell(enum log_code code, int64_t now_s)
{
    struct often *o = &often[code];
    const char *who = o->who[0] != '\0' ? o->who : NULL;

    if (o->untold > 1)
        log_line(code, who, "%s (the last of %zu in %lld s)", o->text, o->untold,
                 (long long)(now_s - o->told_s));
    else
        log_line(code, who, "%s", o->text);
    o->told = true;
    o->told_s = now_s;
    o->untold = 0;
}

void log_often(enum log_code code, const char *who, const char *format, ...)
{
    struct often *o = &often[code];
    int64_t now_s = seconds();
    va_list ap;

    if (entries[code].level > highest)
        return;
    snprintf(o->who, sizeof o->who, "%s", who != NULL ? who : "");
    va_start(ap, format);
    vsnprintf(o->text, sizeof o->text, format, ap);
    va_end(ap);
    o->untold++;
    if (is_quiet(o, now_s))
        tell(code, now_s);
}

void log_catch_up(void)
{
    int64_t now_s = seconds();

    for (int code = 0; code < LOG_CODES; code++)
        if (often[code].untold != 0 && is_quiet(&often[code], now_s))
            tell((enum log_code)code, now_s);
}
