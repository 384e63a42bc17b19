"""A pretended sensor: python3 sensor.py NAME COUNT [SECONDS] prints so many readings, one JSON line each."""

import json
import sys
import time

name, count = sys.argv[1], int(sys.argv[2])
pause_s = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
for number in range(count):
    if number:
        time.sleep(pause_s)
    # Up and down between 20 and 35.
    celsius = 20 + abs((number * 3) % 30 - 15)
    print(json.dumps({"sensor": name, "celsius": celsius, "time": int(time.time())}), flush=True)
