/* log.c - lines for operators on standard error. Holds the level, nothing else. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
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
