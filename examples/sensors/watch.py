"""Read readings, one JSON line each, and print those above a value: python3 watch.py CELSIUS."""

import json
import sys

limit = float(sys.argv[1])
for line in sys.stdin:
    reading = json.loads(line)
    if reading["celsius"] > limit:
        print(f"{reading['sensor']}: {reading['celsius']} degrees", flush=True)
