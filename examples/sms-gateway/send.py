"""Send an SMS: python3 send.py RECEIVER MESSAGE. WSMB_URL, WSMB_USER and WSMB_PASSWORD say where to."""

import json
import subprocess
import sys
import uuid

receiver, message = sys.argv[1:]
item = json.dumps({"receiver": receiver, "message": message})
# Under the same id it is not sent a second time, so that a command that has failed can be repeated.
command = ["wsmb", "send", "sms", "--message-id", str(uuid.uuid4()), "--ttl", "3600", item]
for _ in range(3):
    status = subprocess.run(command, check=False).returncode
    if status != 1:
        break
sys.exit(status)
