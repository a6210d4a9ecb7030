"""The HTTP/1.1 protocol of the predictor: uvicorn's, but offers to upgrade are ignored."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """Handles a request with an `Upgrade` header as if it had none (RFC 9110, section 7.8).

    Java's HTTP client and `curl --http2` offer to continue in HTTP/2 with their first request.
    httptools parses such a request without its body, so its head is parsed a second time, without
    the offer.
    """

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]  # from the end of the head
            head = self._make_head_without_offer()
            # The old parser would ignore what follows a request that closes the connection.
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
            self.parser.feed_data(head)

    def _make_head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":  # asks for a tunnel with or without the header
            raise httptools.HttpParserInvalidMethodError("CONNECT")
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])
