"""The text of HTML pages."""

import re
from html.parser import HTMLParser


def extract_text(html: str) -> str:
    """Return the text of a page on one line."""

    class TextParser(HTMLParser):
        text = ""

        def handle_data(self, data: str) -> None:
            self.text += f" {data}"

    parser = TextParser()
    parser.feed(html)
    return re.sub(r"\s+", " ", parser.text)
