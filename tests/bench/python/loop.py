"""What both programs have in common: so many items at once, each answer in SQLite before the next item is taken.

`each`: a commit an answer, as one writes it. `groups`: commits go by a thread, so that requests go on meanwhile, and each takes all answers
that have come: one sync of the disk for many."""

import asyncio
import json
import resource
import sqlite3
import sys
import time

PUT = "INSERT OR REPLACE INTO done VALUES (?, ?)"


def opened(path):
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS done (id TEXT PRIMARY KEY, answer TEXT)")
    return database


class Each:
    def __init__(self, database):
        self.database = database

    async def put(self, id, answer):
        self.database.execute(PUT, (id, json.dumps(answer)))
        self.database.commit()


class Groups:
    def __init__(self, database):
        self.database = database
        self.waiting = []
        self.writer = None

    async def put(self, id, answer):
        written = asyncio.get_running_loop().create_future()
        self.waiting.append(((id, json.dumps(answer)), written))
        if self.writer is None:
            self.writer = asyncio.create_task(self.write())
        await written

    async def write(self):
        while self.waiting:
            group, self.waiting = self.waiting, []
            try:
                await asyncio.to_thread(self.commit, [row for row, _ in group])
            except Exception as error:
                for _, written in group:
                    written.set_exception(error)
            else:
                for _, written in group:
                    written.set_result(None)
        self.writer = None

    def commit(self, rows):
        with self.database:
            self.database.executemany(PUT, rows)


async def run(ask):
    path, database, _, at_once, commits = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        items = [json.loads(line) for line in file]
    database = opened(database)
    known = {row[0] for row in database.execute("SELECT id FROM done")}
    done = {"each": Each, "groups": Groups}[commits](database)
    left = iter([item for item in items if item["id"] not in known])

    async def work():
        for item in left:
            answer = await ask(f"what of {item['text']}?")
            await done.put(item["id"], answer)

    began, cpu = time.perf_counter(), processor()
    await asyncio.gather(*(work() for _ in range(int(at_once))))
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu_seconds": processor() - cpu}))


def processor():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
