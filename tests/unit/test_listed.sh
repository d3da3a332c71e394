#!/bin/sh
# Makefile.am names every source, unit test and document: one that is forgotten there is neither built nor shipped.
set -u
cd "${srcdir:-.}" || exit 1
[ -e Makefile.am ] || cd "$(dirname "$0")/../.." || exit 1

bad=0
for file in $(find src -name "*.[ch]" -o -name "*.def") sql/*/*.sql \
    man/*.[1-8] docs/*.md tests/unit/*.sh tests/unit/*.[ch] tests/fuzz/*.[ch]; do
    [ -e "$file" ] || continue
    case $file in
    tests/*.c) name=${file%.c} ;;       # programs are named, their only source follows from that
    *) name=$file ;;
    esac
    tr -s ' \t\134' '[\n*]' < Makefile.am | grep -qxF -e "$name" -e "$file" && continue
    echo "$file is not in Makefile.am"
    bad=1
done
exit $bad
