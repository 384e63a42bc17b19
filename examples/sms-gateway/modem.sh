#!/bin/sh
# A pretended modem. wsmb runs it for each item, with the item's fields in the environment.
set -eu
receiver=${WSMB_ITEM_RECEIVER?the item has no receiver}
message=${WSMB_ITEM_MESSAGE?the item has no message}

# Not a number: no other try will help (wsmb receive --dead-on 65).
case $receiver in '' | *[!0-9+]*) exit 65 ;; esac

# No network, the first time, for numbers that end in 7: any other status but 0 has it come again.
case $WSMB_REDELIVERED$receiver in 0*7) exit 1 ;; esac

printf '%s: %s\n' "$receiver" "$message" >> sent.txt
