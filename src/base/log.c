/* log.c - lines for operators on standard error. Holds the level, and of what happens often how often it
 * did since it was last told. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level highest = LOG_INFO;

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

void log_line(enum log_level level, const char *code, const char *where, const char *who,
              const char *format, ...)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    char line[1024];
    va_list ap;

    if (level > highest)
        return;
    int len = stamp(line, sizeof line);
    len += snprintf(line + len, sizeof line - (size_t)len, " %s %s %s %s: ", names[level], code,
                    where, who != NULL ? who : "-");
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

#define CODES 32                        /* more than there are */

static struct often {
    const char *code;                   /* NULL: free */
    int64_t told_s;                     /* when a line of it was written */
    size_t untold;                      /* how many there were since */
    enum log_level level;
    const char *where;
    char who[64], text[512];            /* of the last of them */
} often[CODES];

static int64_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static struct often *find_code(const char *code)
{
    size_t i = 0;

    while (i < CODES - 1 && often[i].code != NULL && strcmp(often[i].code, code) != 0)
        i++;
    return &often[i];
}

static void tell(struct often *o, int64_t now_s)
{
    if (o->untold > 1)
        log_line(o->level, o->code, o->where, o->who[0] != '\0' ? o->who : NULL,
                 "%s (the last of %zu in %lld s)", o->text, o->untold,
                 (long long)(now_s - o->told_s));
    else
        log_line(o->level, o->code, o->where, o->who[0] != '\0' ? o->who : NULL, "%s", o->text);
    o->told_s = now_s;
    o->untold = 0;
}

void log_often(enum log_level level, const char *code, const char *where, const char *who,
               const char *format, ...)
{
    struct often *o = find_code(code);
    int64_t now_s = seconds();
    va_list ap;

    if (level > highest)
        return;
    if (o->code == NULL)
        o->told_s = now_s - LOG_QUIET_S;
    o->code = code;
    o->level = level;
    o->where = where;
    snprintf(o->who, sizeof o->who, "%s", who != NULL ? who : "");
    va_start(ap, format);
    vsnprintf(o->text, sizeof o->text, format, ap);
    va_end(ap);
    o->untold++;
    if (now_s - o->told_s >= LOG_QUIET_S)
        tell(o, now_s);
}

void log_catch_up(void)
{
    int64_t now_s = seconds();

    for (size_t i = 0; i < CODES && often[i].code != NULL; i++)
        if (often[i].untold != 0 && now_s - often[i].told_s >= LOG_QUIET_S)
            tell(&often[i], now_s);
}
