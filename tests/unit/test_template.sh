#!/bin/sh
# lighttpd's configuration is written once, and filled in by tools/fill.awk, which takes no template for filled that is
# not.
set -eu

top=${srcdir:-.}
[ -e "$top/tools/fill.awk" ] || top=$(dirname "$0")/../..
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT

fill() { "${AWK:-awk}" -v parts="$1" -f "$top/tools/fill.awk" "$trial/template"; }

cat > "$trial/template" << 'END'
About this file: @nothing@ here counts.

#[outer]
a = "@one@", "@two@"
    {
        @inner@
    }

#[inner]
first @two@
second

#[wrong]
@nothing@
END
cat > "$trial/expected" << 'END'
first @one@ \ & "
second

a = "1", "@one@ \ & ""
    {
        first @one@ \ & "
        second
    }
END
export one=1 two='@one@ \ & "'
fill "inner outer" > "$trial/filled"
diff "$trial/expected" "$trial/filled"
! fill "outer wrong" 2> /dev/null || { echo "a name without a value is taken"; exit 1; }
! fill "outer missing" 2> /dev/null || { echo "a part that is not there is taken"; exit 1; }

# A line that stands in each configuration of FastCGI stands in the template alone.
others=$(cd "$top" && grep -rlE --exclude-dir=node_modules '"?check-local"? *=>' serve README.md bench tests/e2e conf) || true
[ "$others" = conf/lighttpd-pollux.conf.in ] || { echo "configurations of lighttpd: $others"; exit 1; }
