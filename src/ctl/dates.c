/* dates.c - reads and writes times for people. The clock is handed in. */
#include "ctl/dates.h"

#include <stdio.h>
#include <time.h>

/* far beyond anything stored, far below overflow */
#define LONGEST_MS (INT64_C(250000) * 365 * 86400000)

static bool read_ago(const char *text, int64_t now_ms, int64_t *ms)
{
    static const struct { char unit; int64_t ms; } units[] = {
        { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 }, { 'w', 604800000 },
    };
    size_t len = strlen(text);
    int64_t n;

    if (len < 2 || !span_int((struct span){ text, len - 1 }, &n))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (text[len - 1] == units[i].unit && n <= LONGEST_MS / units[i].ms) {
            *ms = now_ms - n * units[i].ms;
            return true;
        }
    return false;
}

/* COUNT digits at *TEXT within [LEAST, MOST]. */
static bool digits(const char **text, int count, int least, int most, int *out)
{
    int n = 0;

    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        n = n * 10 + (c - '0');
    }
    *text += count;
    *out = n;
    return n >= least && n <= most;
}

static bool skip(const char **text, char c)
{
    if (**text != c)
        return false;
    ++*text;
    return true;
}

/* HH:MM[:SS[.mmm]] to the end of TEXT. */
static bool read_clock(const char *text, struct tm *tm, int *ms)
{
    tm->tm_sec = *ms = 0;
    if (!digits(&text, 2, 0, 23, &tm->tm_hour) || !skip(&text, ':')
        || !digits(&text, 2, 0, 59, &tm->tm_min))
        return false;
    if (skip(&text, ':') && !digits(&text, 2, 0, 60, &tm->tm_sec))
        return false;
    if (skip(&text, '.') && !digits(&text, 3, 0, 999, ms))
        return false;
    return *text == '\0';
}

static bool read_date(const char **text, struct tm *tm)
{
    int year, month;

    if (!digits(text, 4, 1970, 9999, &year) || !skip(text, '-') || !digits(text, 2, 1, 12, &month)
        || !skip(text, '-') || !digits(text, 2, 1, 31, &tm->tm_mday))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    return true;
}

/* DAYS before the day of NOW, at its beginning. */
static void midnight(int64_t now_ms, int days, struct tm *tm)
{
    time_t now = (time_t)(now_ms / 1000);

    localtime_r(&now, tm);
    tm->tm_mday -= days;
    tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
    tm->tm_isdst = -1;
}

static bool finish(struct tm *tm, int more_ms, int64_t *ms)
{
    int day = tm->tm_mday;

    tm->tm_isdst = -1;
    time_t t = mktime(tm);
    *ms = (int64_t)t * 1000 + more_ms;
    return t != (time_t)-1 && tm->tm_mday == day;       /* mktime() makes 2 March of 30 February */
}

bool time_read(const char *text, int64_t now_ms, int64_t *ms)
{
    struct tm tm;
    int more_ms = 0;

    if (strcmp(text, "now") == 0) {
        *ms = now_ms;
        return true;
    }
    if (text[0] == '@')
        return span_int(span_of(text + 1), ms) && *ms < LONGEST_MS / 1000 && (*ms *= 1000, true);
    if (read_ago(text, now_ms, ms))
        return true;
    midnight(now_ms, strcmp(text, "yesterday") == 0, &tm);
    if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
        *ms = (int64_t)mktime(&tm) * 1000;
        return true;
    }
    if (strlen(text) >= 3 && text[2] == ':')
        return read_clock(text, &tm, &more_ms) && finish(&tm, more_ms, ms);
    if (!read_date(&text, &tm))
        return false;
    if (*text != '\0'
        && !((skip(&text, ' ') || skip(&text, 'T')) && read_clock(text, &tm, &more_ms)))
        return false;
    return finish(&tm, more_ms, ms);
}

enum zone { ZONE_LOCAL, ZONE_UTC };

static void add(struct buf *out, int64_t ms, const char *format, enum zone zone, const char *end)
{
    time_t t = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    char text[64];
    struct tm tm;

    if ((zone == ZONE_UTC ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)) == NULL
        || strftime(text, sizeof text, format, &tm) == 0) {
        buf_addf(out, "@%lld", (long long)ms);
        return;
    }
    buf_add_text(out, text);
    if (end != NULL)
        buf_addf(out, ".%03lld%s", (long long)(ms - (int64_t)t * 1000), end);
}

void time_add_date(struct buf *out, int64_t ms)
{
    add(out, ms, "%Y-%m-%d", ZONE_LOCAL, NULL);
}

void time_add_clock(struct buf *out, int64_t ms)
{
    add(out, ms, "%H:%M:%S", ZONE_LOCAL, "");
}

void time_add(struct buf *out, int64_t ms)
{
    add(out, ms, "%Y-%m-%d %H:%M:%S", ZONE_LOCAL, "");
}

void time_add_utc(struct buf *out, int64_t ms)
{
    add(out, ms, "%Y-%m-%dT%H:%M:%S", ZONE_UTC, "Z");
}
