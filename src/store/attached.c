/* attached.c - how the store keeps attachments. Knows no packets: whoever packs them for a client
 * takes them out one by one. */
#include "store/attached.h"

/* Neither base64 nor the JSON of an event's text has this byte. */
#define MARK '\x1e'

void attached_begin(struct buf *kept)
{
    buf_add_char(kept, MARK);
}

/* Bytes of S in front of its first mark; all of them, if it has none. */
static size_t before_mark(struct span s)
{
    const char *mark = s.len != 0 ? memchr(s.p, MARK, s.len) : NULL;

    return mark != NULL ? (size_t)(mark - s.p) : s.len;
}

bool attached_next(struct span *rest, struct span *base64)
{
    if (rest->len == 0)
        return false;
    *base64 = (struct span){ rest->p + 1, rest->len - 1 };
    base64->len = before_mark(*base64);
    rest->p += 1 + base64->len;
    rest->len -= 1 + base64->len;
    return true;
}

size_t attached_count(struct span attached)
{
    size_t count = 0;

    for (struct span one; attached_next(&attached, &one);)
        count++;
    return count;
}

struct span attached_behind(struct span kept, struct span *text)
{
    *text = (struct span){ kept.p, before_mark(kept) };
    return (struct span){ kept.p + text->len, kept.len - text->len };
}
