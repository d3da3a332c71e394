/* examine.c - for those who look after the server, without a session: is it well, and how does the
 * web server treat it? Writes nothing.
 *
 *     ?health                 200 or 503 and a JSON object, for whatever watches servers; figures
 *                             of the store for those whom metrics_allow names
 *     ?doctor=WORD            facts, for doctor.html: what the web server says of the request, and
 *                             how the program is run and set
 *     ?doctor=WORD&hold=MS    the same after so long: does a request survive it?
 *     ?doctor=WORD&flow=MS    an answer that is begun at once and ended after so long: do parts of
 *                             answers get through?
 *
 * WORD is what stands in the file `doctor` of the store, which only the operator can write. From
 * the machine itself none is needed. Eight may wait at a time.
 */
#include "core/turn.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "wire/json.h"

#define WORD_LEAST 8
#define WORD_MAX 80
#define HOLD_MOST_MS 70000
#define HOLDS 8
#define FIRST_ID (INT64_MAX - HOLDS)    /* no session has it, nor those that follow */

#define JSON "application/json"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

struct asked {
    char health[4], doctor[WORD_MAX + 1], hold[12], flow[12];
    bool for_health, for_doctor;
};

static void read_asked(struct span query, struct asked *a)
{
    struct http_field fields[] = {
        { "health", a->health, sizeof a->health, 0 },
        { "doctor", a->doctor, sizeof a->doctor, 0 },
        { "hold", a->hold, sizeof a->hold, 0 },
        { "flow", a->flow, sizeof a->flow, 0 },
    };

    http_query(query, fields, sizeof fields / sizeof fields[0]);
    a->for_health = fields[0].len != -1;
    a->for_doctor = fields[1].len != -1;
}

static void add_text(struct buf *out, const char *name, struct span text)
{
    buf_addf(out, ",\"%s\":", name);
    json_string_encode(out, utf8_valid(text) ? text : SPAN("?"));
}

static void add_number(struct buf *out, const char *name, int64_t n)
{
    buf_addf(out, ",\"%s\":%lld", name, (long long)n);
}

static void add_truth(struct buf *out, const char *name, bool truth)
{
    buf_addf(out, ",\"%s\":%s", name, truth ? "true" : "false");
}

static void answer_json(struct call *call, int status, struct buf *json)
{
    buf_add_text(json, "}\n");
    if (buf_ok(json))
        core_answer_plain(call, status, JSON, buf_span(json));
    else
        core_answer_plain(call, 503, JSON, SPAN("{\"status\":\"out of memory\"}\n"));
    buf_release(json);
}

/* ---- is it well? */

static void add_figures(struct buf *json, const struct store_figures *f)
{
    add_number(json, "sessions", f->sessions);
    add_number(json, "channels", f->channels);
    add_number(json, "queued_deliveries", f->queued);
    add_number(json, "log_rows", f->log_rows);
    add_number(json, "database_bytes", f->database_bytes);
    add_number(json, "wal_bytes", f->wal_bytes);
    add_number(json, "disk_free_bytes", f->disk_free_bytes);
}

static void answer_health(struct call *call)
{
    const struct settings *set = call->c->set;
    struct buf json = BUF_EMPTY;
    struct store_figures figures;
    bool reads = store_figures(call->c->store, &figures) == 0, well = reads && !call->c->failing;

    buf_addf(&json, "{\"status\":\"%s\"", well ? "ok" : "failing");
    add_text(&json, "store", !reads ? SPAN("cannot be read; see the error log")
                             : !well ? SPAN("the last turn failed (P303, P305)")
                                     : SPAN("ok"));
    if (reads && core_request_allowed(set->metrics_allow, call->rq)) {
        add_text(&json, "version", SPAN(PACKAGE_VERSION));
        add_figures(&json, &figures);
    }
    answer_json(call, well ? 200 : 503, &json);
}

/* ---- how does the web server treat it? */

/* The word in the store's file `doctor`, without white space around it; empty: none. */
static struct span read_word(const char *store, char out[WORD_MAX + 1])
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/doctor", store);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t len = fd != -1 ? read(fd, out, WORD_MAX) : -1;
    if (fd != -1)
        close(fd);
    struct span word = { out, len > 0 ? (size_t)len : 0 };
    while (word.len != 0 && (unsigned char)word.p[word.len - 1] <= ' ')
        word.len--;
    return word;
}

static bool may_ask(const struct call *call, const struct asked *a)
{
    char file[WORD_MAX + 1];
    struct span word = read_word(call->c->set->store, file);

    return core_request_allowed("loopback", call->rq)
           || (word.len >= WORD_LEAST && span_is(word, a->doctor));
}

static void add_request(struct buf *json, const struct request *rq)
{
    add_text(json, "software", rq->software);
    add_text(json, "address", rq->address);
    add_truth(json, "forwarded", rq->forwarded);
    add_text(json, "host", rq->host);
    add_number(json, "port", rq->server_port);
    add_text(json, "origin", rq->origin);
    add_text(json, "fetch_site", rq->fetch_site);
    add_truth(json, "https", rq->https);
    add_text(json, "path", rq->path);
}

static void add_settings(struct buf *json, const struct settings *set)
{
    add_number(json, "max_payload_bytes", set->max_payload_bytes);
    add_number(json, "ping_interval_ms", set->ping_interval_ms);
    add_number(json, "ping_timeout_ms", set->ping_timeout_ms);
    add_number(json, "max_sessions_per_address", set->max_sessions_per_address);
    add_number(json, "slots", set->slots);
    add_number(json, "processes", set->processes);
    add_text(json, "served_hosts", span_of(set->served_hosts));
    add_text(json, "allowed_origins", span_of(set->allowed_origins));
}

static void answer_facts(struct call *call)
{
    static const char *const how[] = { [SCARCE_NOT] = "FastCGI",
                                       [SCARCE_COUNTED] = "FastCGI, a process for each request",
                                       [SCARCE_UNCOUNTED] = "CGI" };
    const struct core *c = call->c;
    struct buf json = BUF_EMPTY;

    buf_addf(&json, "{\"version\":\"%s\"", PACKAGE_VERSION);
    add_text(&json, "how", span_of(how[c->slots.began]));
    add_number(&json, "pid", getpid());
    add_number(&json, "now_ms", call->now);
    add_number(&json, "gone", c->doctor_gone);
    add_request(&json, call->rq);
    add_settings(&json, c->set);
    answer_json(call, 200, &json);
}

/* A place for one more that waits; 0: there is none. */
static int64_t free_id(const struct core *c)
{
    int64_t id = FIRST_ID;

    while (id < FIRST_ID + HOLDS && park_has(c->park, id))
        id++;
    return id < FIRST_ID + HOLDS ? id : 0;
}

static void wait_for(struct call *call, const char *ms, bool flows)
{
    struct session nobody = { .id = free_id(call->c) };
    int64_t wait_ms;

    if (!span_int(span_of(ms), &wait_ms) || wait_ms > HOLD_MOST_MS || nobody.id == 0) {
        core_answer_error(call, nobody.id == 0 ? 429 : 400, EIO_BAD_REQUEST,
                          nobody.id == 0 ? "Too many requests wait for the doctor"
                                         : "Bad request: at most 70000 milliseconds");
        return;
    }
    if (core_hold_blindly(call, nobody.id, call->now + wait_ms) && flows)
        core_begin_held(call->c, &nobody);
}

bool core_doctor_gone(struct core *c, int64_t id)
{
    c->doctor_gone += id >= FIRST_ID;
    return id >= FIRST_ID;
}

bool core_doctor(struct call *call)
{
    struct asked a;

    read_asked(call->rq->query, &a);
    if ((!a.for_health && !a.for_doctor) || http_method(call->rq->method) != HTTP_GET)
        return false;
    if (a.for_health)
        answer_health(call);
    else if (!may_ask(call, &a))
        core_answer_error(call, 403, EIO_FORBIDDEN,
                          "Forbidden: write a word of eight letters or more into the file doctor "
                          "of the store, and give it to the page");
    else if (a.hold[0] != '\0' || a.flow[0] != '\0')
        wait_for(call, a.hold[0] != '\0' ? a.hold : a.flow, a.flow[0] != '\0');
    else
        answer_facts(call);
    return true;
}
