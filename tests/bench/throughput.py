#!/usr/bin/env python3
"""Items a second and peak memory of `redact` over items of 1 KB; run from the repository's root after a release build."""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath("target/release/sandmill")
WORDS = "the order came late and the invoice was wrong so please call me back as soon as you can about it".split()


def item(number, draw):
    text = " ".join(draw.choices(WORDS, k=180))
    return {"id": f"i{number}", "text": f"{text} jo{number}@example.org or 555-123-{number % 10000:04}"}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "items.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for number in range(count):
                file.write(json.dumps(item(number, draw)) + "\n")
        subprocess.run([PROGRAM, "plugin", "build", "plugins/redact"], check=True, stdout=subprocess.DEVNULL)
        command = [PROGRAM, "run", "plugins/redact", "--input", path, "--output", os.path.join(folder, "out.jsonl")]
        ran = subprocess.run([*command, "--store", os.path.join(folder, "store"), "--json", "-q"], check=True, capture_output=True)
        run = json.loads(ran.stdout)["run"]
        size = os.path.getsize(path) / count
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{count} items of {size:.0f} bytes: {run['items_per_second']:.0f} items/s, peak {peak:.0f} MiB (the build's, if it is larger)")


if __name__ == "__main__":
    main()
