"""The inventory: every certificate the maker issued, who lives under which name, and what became of it."""

from leafward.store.inventory.entry import Entry, entry_texts
from leafward.store.inventory.inventory import Count, Inventory, Revoked
from leafward.store.inventory.issued import Issued, Status
from leafward.store.inventory.search import Page

__all__ = ["Count", "Entry", "Inventory", "Issued", "Page", "Revoked", "Status", "entry_texts"]
