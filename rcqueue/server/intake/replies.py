"""What the ways in that speak SMTP answer, in one place: milter, content filter, SMTP and LMTP say the same."""

BUSY = "451 4.3.1 Error: too much waits to be written, try again later"
STOPPING = "451 4.3.2 Error: the server is shutting down, try again later"
FAILED = "451 4.3.0 Error: not taken, try again later"
DEFERRED = "451 4.7.1 Error: the mail can not be scanned now, try again later"
REFUSED = "550 5.7.1 Error: refused by policy"
