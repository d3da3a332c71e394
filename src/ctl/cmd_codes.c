/* cmd_codes.c - polluxctl codes: what the codes in the server's log mean, and what to do. Knows no
 * store: whoever reads a log may be elsewhere. */
#include <strings.h>

#include "base/log.h"
#include "ctl/commands.h"
#include "ctl/text.h"

static void add_code(const struct ctl *c, const struct log_entry *e, struct buf *out)
{
    text_add_tinted(out, span_of(e->code), TINT_BOLD, c->colour);
    buf_addf(out, " %s %s\n    %s\n    %s\n", log_level_name(e->level), e->area, e->meaning,
             e->advice);
}

int ctl_codes(struct ctl *c)
{
    struct buf out = BUF_EMPTY;
    int found = 0;

    for (int code = 0; code < LOG_CODES; code++) {
        const struct log_entry *e = log_entry((enum log_code)code);
        if (c->argument != NULL && strcasecmp(c->argument, e->code) != 0)
            continue;
        add_code(c, e, &out);
        found++;
    }
    int status = ctl_flush(c, &out) == 0 ? CTL_OK : CTL_FAILED;
    buf_release(&out);
    return found != 0 ? status
                      : ctl_fail("there is no code %s; polluxctl codes lists them", c->argument);
}
