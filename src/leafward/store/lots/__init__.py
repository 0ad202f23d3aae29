"""Factory lots in the maker's database."""

from leafward.store.lots.book import LotBook, LotFull
from leafward.store.lots.values import Batch, Lot, Made, Rejection, Spoiled

__all__ = ["Batch", "Lot", "LotBook", "LotFull", "Made", "Rejection", "Spoiled"]
