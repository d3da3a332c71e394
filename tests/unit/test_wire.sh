#!/bin/sh
# How Engine.IO looks on the wire is known to wire/eio alone: nothing else names the byte between packets, or writes the
# type in front of one. First the rule is tried on made-up sources, so that a rule which lets everything pass fails.
# shellcheck disable=SC2016 # a program for awk
set -eu

src=${srcdir:-.}/src
[ -d "$src" ] || src=$(dirname "$0")/../../src

# Print what breaks the rule in the folder $1; status 1 when anything does. Comments count as well.
#
# The byte: in any notation, but for store/attached, whose form is the store's and older than other versions. A type: a
# digit or a b at the beginning of what is appended, or a whole payload; in wire, Socket.IO has digits of its own.
judge() {
    (cd "$1" && find . -name '*.[ch]' | sed 's,^\./,,' | sort) | "${AWK:-awk}" -v dir="$1" '
    BEGIN {
        byte = "0[xX]1[eE]|\\\\x1[eE]|\\\\036|\\\\u001[eE]"
        writer = "(SPAN|buf_add|buf_add_text|buf_add_char|buf_addf|buf_add_span|eio_add)\\("
        type = "(\"[0-6]|\"b\"|\047[0-6b]\047|[^\"\047;]*\047[04]\047 *[+])"
        written = writer "([^\"\047();]*, *)?" type
    }
    function complain(where, what)
    {
        print where ": " what
        bad = 1
    }
    {
        file = $0
        pieces = ""
        if (file ~ /^wire\/eio\.[ch]$/)
            next
        for (line = 1; (getline text < (dir "/" file)) > 0; line++) {
            if (text ~ byte && file !~ /^store\/attached\.[ch]$/)
                complain(file ":" line, "the byte between packets is for wire/eio")
            pieces = pieces text            # a call may go over several lines
            if (pieces ~ written && file !~ /^wire\//) {
                complain(file ":" line, "types of packets are for wire/eio")
                pieces = ""
            }
            if (text ~ /[;{}]$/)
                pieces = ""
        }
        close(dir "/" file)
    }
    END { exit bad }'
}

# Put what stands on standard input into a source $1 of its own, and see that judge says $2 of it; that it says nothing.
write_trial() {
    rm -rf "${trial:?}"/*
    mkdir -p "$trial/${1%/*}"
    cat > "$trial/$1"
}
refuses() {
    write_trial "$1"
    if said=$(judge "$trial"); then
        echo "not noticed:"
        cat "$trial/$1"
        exit 1
    fi
    case $said in
    *"$2"*) ;;
    *) echo "$1: expected \"$2\", got \"$said\""; exit 1 ;;
    esac
}
takes() {
    write_trial "$1"
    judge "$trial" || { cat "$trial/$1"; exit 1; }
}

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

while IFS= read -r line; do
    printf '%s\n' "$line" | refuses core/poll.c 'core/poll.c:1: the byte'
done << 'END'
    memchr(p, '\x1e', len);
    #define SEPARATOR 0x1E
    buf_add_text(b, "\036");
    struct span attached;       /* each behind a 0x1e */
END

while IFS= read -r line; do
    printf '%s\n' "$line" | refuses core/poll.c 'core/poll.c:1: types of packets'
done << 'END'
    core_answer_payload(call, SPAN("6"));
    buf_add_char(payload, '4');
    buf_add_char(payload, 'b');
    buf_add_char(payload, (char)('0' + type));
    buf_add_text(&c->payload, "40");
    buf_add(payload, "42[", 3);
    buf_addf(payload, "0{\"sid\":\"%s\"}", sid);
END

refuses core/door.c 'core/door.c:2: types of packets' << 'END'
    buf_addf(payload,
             "0{\"sid\":\"%s\"}", sid);
END

takes wire/eio.c << 'END'
    buf_add_char(out, '\x1e');
    buf_add_char(out, '4');
END
takes store/attached.c << 'END'
#define MARK '\x1e'
END
takes wire/sio.c << 'END'
    buf_add_char(out, (char)('0' + (int)type));
END
takes core/poll.c << 'END'
    eio_add(&w, EIO_PING, (struct span){ NULL, 0 });
    buf_addf(out, "%s", "4");
    buf_add_text(out, "binary");
    call->shim = strcmp(q.shim, "1") == 0;
END

judge "$src"
