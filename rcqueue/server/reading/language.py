"""The language of a text, by its script and, where several are written in that, by their commonest words.

Kept libraries for this bring models of tens of megabytes, or NumPy, into each reader; what an operator asks is whether
the mail is in a language that its recipients read at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

MOST = 20_000  #: characters that are looked at
_LEAST_WORDS, _LEAST_LETTERS = 3, 20

#: Scripts that are one language's, or nearly.
_OF_SCRIPT = {
    "GREEK": "el",
    "HEBREW": "he",
    "ARABIC": "ar",
    "THAI": "th",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "DEVANAGARI": "hi",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "BENGALI": "bn",
    "TAMIL": "ta",
}
_WORDS = {
    "en": "the and you your for with this that have are is to of in on be we our please from",
    "de": "der die das und ist nicht sie ihr ihre für mit auf ein eine zu von den dem bitte wir haben werden",
    "fr": "le la les des et est vous votre pour avec dans une un nous que qui sur pas ce cette du",
    "es": "el la los las y es usted su para con en una un que por no del se al como más",
    "it": "il lo gli e è per con una un che di della non si sono la nel questo suo da",
    "pt": "o os as e é você seu sua para com em uma um que não do da no na por mais",
    "nl": "de het een en is u uw voor met van dat niet op te zijn aan wij om deze",
    "sv": "och att det som en är för med på av inte du din ett har till vi den",
    "da": "og at det som en er for med på af ikke du din et har til vi den de",
    "no": "og at det som en er for med på av ikke du din et har til vi den dere",
    "pl": "i w na z do się nie że jest to dla przez oraz od po za jak prosimy państwa",
    "cs": "a v na se je že do pro s z jsou nebo prosím vás jako od po který",
    "fi": "ja on ei että se hän ovat voi kun mutta tai jos olet sinun meidän",
    "tr": "ve bir bu için ile da de çok daha olarak size lütfen sizin olan gibi",
    "ro": "și în de la nu pe cu este care din pentru mai sau dumneavoastră sunt",
    "hu": "a az és hogy nem is egy meg ez van kérjük önt ha vagy mint",
    "ru": "и в не на что с по как это для вы ваш от из за мы или к вас",
    "uk": "і в не на що з як це для ви ваш від до за ми або є та",
    "bg": "и в на не се да за от с по че ви вашия към са като е",
}
_LANGUAGES = [(language, frozenset(words.split())) for language, words in _WORDS.items()]
_WORD = re.compile(r"[^\W\d_]{1,30}")


def language_of(text: str) -> str:
    """ISO 639-1; "" where there is too little to tell, or it is none of those that are known."""
    words = _WORD.findall(text[:MOST].lower())
    letters = "".join(words)
    if len(letters) < _LEAST_LETTERS:
        return ""
    counted = Counter(letters).items()
    by_script: Counter[str] = Counter()
    for letter, count in counted:
        by_script[unicodedata.name(letter, "?").partition(" ")[0]] += count
    if by_script["HIRAGANA"] + by_script["KATAKANA"] > len(letters) // 10:
        return "ja"
    script = by_script.most_common(1)[0][0]
    if script not in ("LATIN", "CYRILLIC"):
        return _OF_SCRIPT.get(script, "")
    scores = sorted(
        ((sum(word in common for word in words), language) for language, common in _LANGUAGES), reverse=True
    )
    best, language = scores[0]
    enough = best >= max(_LEAST_WORDS, len(words) // 20)
    return language if enough and best > scores[1][0] else ""
