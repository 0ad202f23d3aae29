"""A chain as the article's example table: what each certificate is, and its common name, the root first."""

from leafward.cli.chain_view import top_down
from leafward.cli.text_width import columns, pad
from leafward.pki.chain import Chain


def draw_table(chain: Chain) -> list[str]:
    """The lines of a Markdown table.

    | Root CA Certificate             | Azure IoT Hub CA Cert Test Only |
    |---------------------------------|---------------------------------|
    | Intermediate CA Certificate     | Azure IoT Hub Intermediate …    |
    """
    rows = [(shown.title, _cell(shown.name)) for shown in top_down(chain)]
    left, right = (max(columns(row[column]) for row in rows) for column in (0, 1))
    lines = [f"| {title:<{left}} | {pad(name, right)} |" for title, name in rows]
    lines.insert(1, f"|{'-' * (left + 2)}|{'-' * (right + 2)}|")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
