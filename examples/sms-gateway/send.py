"""Send an SMS: python3 send.py RECEIVER MESSAGE. WSMB_URL, WSMB_USER and WSMB_PASSWORD say where to."""

import sys

from wsmb.client import BlockingClient, ClientError, TargetError

receiver, message = sys.argv[1:]
try:
    with BlockingClient() as client:
        # It goes on trying until the broker has it, once, for as long as the message is of use.
        client.send("sms", {"receiver": receiver, "message": message}, ttl=3600)
except (ClientError, TargetError) as error:
    sys.exit(f"send.py: {error}")
