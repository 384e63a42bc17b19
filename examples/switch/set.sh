#!/bin/sh
# Set the switch: ./set.sh on|off|ask. Prints its state; fails if it does not answer within ten seconds.
set -eu
case $1 in on | off | ask) ;; *) echo "on, off or ask" >&2; exit 2 ;; esac
reply=switch.reply.$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
wsmb send switch --ttl 10 "{\"state\":\"$1\",\"reply\":\"$reply\"}"
exec timeout 10 wsmb receive "$reply" --count 1
