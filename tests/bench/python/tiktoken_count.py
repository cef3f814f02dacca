"""A text's tokens, counted so many times; what one time takes, in the middle."""

import json
import statistics
import sys
import time

import tiktoken

path, times = sys.argv[1], int(sys.argv[2])
with open(path, encoding="utf-8") as file:
    text = file.read()
encoding = tiktoken.get_encoding("o200k_base")
tokens = len(encoding.encode_ordinary(text))
took = []
for _ in range(times + 1):
    began = time.perf_counter()
    len(encoding.encode_ordinary(text))
    took.append(time.perf_counter() - began)
print(json.dumps({"seconds": statistics.median(took), "tokens": tokens}))
