#!/bin/sh
# In a folder where nothing was made yet "make pollux.fcgi" makes what that needs, and so does "make polluxctl": the
# headers that come of sql/ are made first.
set -eu

src=$(cd "${srcdir:-.}" && pwd)
[ -e "$src/Makefile.am" ] || src=$(cd "$(dirname "$0")/../.." && pwd)
if [ -e "$src/config.status" ]; then
    echo "the sources were configured in place, and so cannot be configured a second time"
    exit 77
fi

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
cd "$trial"
unset MAKEFLAGS MAKELEVEL MFLAGS
"$src/configure" --quiet CFLAGS=-O0
for program in pollux.fcgi polluxctl; do
    rm -rf src sql_*.h ./*.a            # a clean tree for each, what was learned of it forgotten
    ./config.status --quiet
    make -s -j 2 "$program"
    [ -x "$program" ] || { echo "there is no $program"; exit 1; }
done
