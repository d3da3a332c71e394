#!/bin/bash
# well.sh - is the server in this container well? For HEALTHCHECK, where there is no curl.
exec 3<> /dev/tcp/127.0.0.1/8080 || exit 1
printf 'GET /socket.io/?health HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r _ code _ <&3
[ "$code" = 200 ]
