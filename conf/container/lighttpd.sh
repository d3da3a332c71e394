#!/bin/sh
# lighttpd.sh - lighttpd's configuration in the container, made of the one that all others are made of. Run in the folder of
# the sources. The program gets all variables that the container was started with.
set -eu
modules='"mod_indexfile", "mod_access", "mod_alias", "mod_setenv", "mod_fastcgi"' htdocs=/usr/share/pollux/htdocs bind=0.0.0.0 \
    port=8080 uploads=/tmp fds=20000 connections=8000 keep_alive=60 polls='/socket\.io/?' \
    asked='(/socket\.io/?|/pollux-metrics)' path=/socket.io/ folder=/socket.io max_request=1000 \
    program=/usr/sbin/pollux.fcgi socket=/tmp/pollux.socket max_procs=1 environment='' \
    awk -v parts="server pages fastcgi" -f tools/fill.awk conf/lighttpd-pollux.conf.in |
    sed '/"bin-environment"/d'      # all of lighttpd's own
