/* exposed.c - what lies below the folder that the web server serves, so that everybody could read
 * it: the store, for which nothing is answered; or the file of settings, which the log says.
 *
 * Only requests tell which folder that is, and one program may serve several. It is looked at when
 * another one is named than by the request before; asking once more costs a comparison. Of a
 * server that calls "/" its folder that is not believed: nobody shows the whole disk on purpose.
 */
#include "core/turn.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/places.h"

/* Is there an .htaccess beside FILE? It was written by somebody who keeps files from being read;
 * Apache and LiteSpeed obey it. */
static bool is_kept_back(const char *file, struct span software)
{
    char path[PATH_MAX];
    const char *slash = strrchr(file, '/');
    int folder = slash != NULL ? (int)(slash - file) : 0;
    struct stat st;

    if (!span_starts(software, "Apache") && !span_starts(software, "LiteSpeed"))
        return false;
    int len = snprintf(path, sizeof path, "%.*s/.htaccess", folder, file);
    return len > 0 && (size_t)len < sizeof path && stat(path, &st) == 0;
}

/* May others than its owner read FILE, as the web server's user is one? */
static bool is_readable(const char *file)
{
    struct stat st;

    return stat(file, &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

static void judge_settings(const struct core *c, const char *root, struct span software)
{
    const char *file = c->set->file;

    if (file != NULL && file[0] == '/' && places_is_below(file, root) && is_readable(file)
        && !is_kept_back(file, software))
        log_line(P006, NULL,
                 "the settings %s lie below %s, which the web server shows to everybody; make the "
                 "file readable by its owner alone (chmod 600), or move it to that user's home",
                 file, root);
}

bool core_is_exposed(struct call *call)
{
    struct core *c = call->c;
    struct span root = call->rq->root;
    char path[PATH_MAX];

    if (span_equals(root, buf_span(&c->root)) || !span_copy(root, path, sizeof path))
        return c->exposed;
    buf_clear(&c->root);
    buf_add_span(&c->root, root);
    c->exposed = root.len > 1 && places_is_below(c->set->store, path);
    if (root.len > 1)
        judge_settings(c, path, call->rq->software);
    if (c->exposed)
        log_often(P004, NULL,
                  "the store %s lies below %s, which the web server shows to everybody: all "
                  "requests there are answered 503; move it, or name a directory outside with the "
                  "key `store`",
                  c->set->store, path);
    return c->exposed;
}
