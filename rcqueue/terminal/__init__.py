"""What stands between Textual and the tty: few bytes, flow control end to end, and the last gate against hostile text.

An update of the screen comes in as structured cells (`screen`), is compared with what the terminal shows and becomes as
few bytes as will do (`encode`, `styles`, `caps`), and leaves when the terminal has taken what went before (`flow`). No
text of anybody's is ever mixed with control codes before `cells` has judged it. `driver` ties this to Textual; `check`
says beforehand why a terminal can't be drawn on; `fatal` is what is left to say when the application breaks.
"""
