"""What one message may cost to read. Past a cap the rest is left unread and the message is shown degraded."""

HEADER_BLOCK = 256 * 1024  #: bytes of a header
FIELDS = 2_000  #: fields of a header
FIELD = 64 * 1024  #: bytes of one field's value
ENCODED_WORDS = 200  #: encoded words of one field
ADDRESSES = 1_000  #: addresses of one field
COMMENT_DEPTH = 50  #: comments within comments
HOPS = 100  #: Received fields that are cut into clauses
RULES = 500  #: rule hits

SUBJECT = 2_000  #: characters kept of a subject, and of the other texts of a list
ADDRESS = 320  #: characters kept of an address: 64 + 1 + 255

DEPTH = 50  #: multiparts within multiparts
PARTS = 1_000  #: parts of a message
TEXT = 1024 * 1024  #: characters of text for the body pane, and bytes of HTML that it is made from
FILE_NAME = 255  #: characters kept of an attachment's name
EXTENSION = 12  #: characters shown of an extension
HEAD = 16  #: bytes kept of how an attachment begins
REASON = 300  #: characters kept of the reasons why a message is degraded
AUTHORS = 50  #: addresses kept of the From, Sender and Reply-To fields
AUTH_RESULTS = 100  #: results of authentication that are shown
LINKS = 200  #: links that are listed
URL = 500  #: characters kept of a link
MARKS = 20  #: remarks on a body
COMPARED = 20_000  #: characters of HTML that are compared with the plain text beside it
