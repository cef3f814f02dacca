"""What both programs have in common: so many items at once, each answer in SQLite before the next item is taken."""

import asyncio
import json
import sqlite3
import sys


async def work(queue, ask, database):
    while True:
        try:
            item = queue.get_nowait()
        except asyncio.QueueEmpty:
            return
        answer = await ask(f"what of {item['text']}?")
        database.execute("INSERT OR REPLACE INTO done VALUES (?, ?)", (item["id"], json.dumps(answer)))
        database.commit()


async def run(ask, at_once, items, database):
    queue = asyncio.Queue()
    done = {row[0] for row in database.execute("SELECT id FROM done")}
    for item in items:
        if item["id"] not in done:
            queue.put_nowait(item)
    await asyncio.gather(*(work(queue, ask, database) for _ in range(at_once)))


def arguments():
    """The items, the database, the server's address, how many at once."""
    path, database, url, at_once = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        items = [json.loads(line) for line in file]
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS done (id TEXT PRIMARY KEY, answer TEXT)")
    return items, connection, url, int(at_once)
