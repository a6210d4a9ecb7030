"""Messages to people about events, by Slack, mail, webhook and the other services of Apprise."""
