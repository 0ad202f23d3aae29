"""Further certificates of the hub, as the operator names them: `[[hub.certificates]]`."""

from typing import Annotated

from pydantic import Field

from leafward.store.settings_file import Table

FileName = Annotated[str, Field(min_length=1)]


class NamedCertificate(Table):
    """A chain file, leaf first, and its key, for clients that ask for one of its names."""

    chain: FileName
    key: FileName
