"""An SMTP server that keeps the messages it accepts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from skyclass.local.ports import find_free_ports
from skyclass.sockets import LOOPBACK


@dataclass
class Mailbox:
    """The address of a server, and what it received."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep a message; aiosmtpd calls this method by its name."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"


@contextmanager
def serve_mail() -> Iterator[Mailbox]:
    """Run the server on a free loopback port."""
    (port,) = find_free_ports(1)
    mailbox = Mailbox(port)
    controller = Controller(
        mailbox,
        hostname=LOOPBACK,
        port=port,
        server_hostname="mail.example.org",  # no DNS request for the name of this machine
        ready_timeout=60,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
