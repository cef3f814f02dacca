"""Write Sandmill plugins in Python: one decorated function, your own dataclasses.

    from dataclasses import dataclass
    from sandmill_plugin import Context, Item, Role, Skip, llm, plugin

    @dataclass
    class Ticket:
        text: str

    @dataclass
    class Triage:
        urgency: int
        topic: str

    @plugin("triage", version="0.1.0", description="Says how urgent a ticket is.", roles=[Role("default")])
    def process(item: Item[Ticket], cx: Context) -> Triage:
        if not item.data.text.strip():
            raise Skip("the ticket is empty")
        return llm.chat_json(item.data.text, Triage, system="You sort tickets.")

Each item runs in a fresh instance: nothing that a module keeps survives to the next one. Time and randomness are virtual, and
there are no files, no network and no environment. Outside a host `sandmill_plugin.testing` stands in for it.
"""

from . import llm, log
from .data import Blob, Budget, Context, Emission, Emissions, Item
from .failures import Fail, Retry, Skip
from .plugins import Plugin, Role, plugin

__all__ = [
    "Blob",
    "Budget",
    "Context",
    "Emission",
    "Emissions",
    "Fail",
    "Item",
    "Plugin",
    "Retry",
    "Role",
    "Skip",
    "llm",
    "log",
    "plugin",
]
