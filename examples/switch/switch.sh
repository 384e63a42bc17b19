#!/bin/sh
# A pretended switch: its state is in a file. wsmb runs this for each command, and hands down no password: it
# takes its own from broker.env to send the answer.
set -eu
. ./broker.env

case ${WSMB_ITEM_STATE?the item has no state} in
on | off) echo "$WSMB_ITEM_STATE" > state.txt ;;
ask) ;;
*) exit 65 ;;
esac

# Answers go nowhere but to channels that are there for them.
case ${WSMB_ITEM_REPLY-} in
switch.reply.*) wsmb send "$WSMB_ITEM_REPLY" --text --ttl 60 "$(cat state.txt || echo unknown)" ;;
esac
