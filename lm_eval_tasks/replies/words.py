"""The words around a choice in a reply: what leads to it, joins others to it, gives a reason, takes it back.

Word lists in the languages that models answer in, and the patterns made of them; a language is added here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

_ARTICLES = (
    "the my our your this that die der das den la las el los le les l' de het il lo a o os as una un "
    "une ein eine mein meine mi mon ma ma mia moja мой наш это"
)
_ADJECTIVES = (
    "right correct best final most likely probable appropriate accurate true proper chosen selected "
    "only single richtige richtiger richtigen korrekte beste endgültige correcta correcto mejor bonne "
    "juste meilleure correcte corretta giusta migliore correta melhor juiste правильный верный верная "
    "правильная окончательный вірна poprawna prawidłowa doğru đúng الصحيحة صحيح सही 正确的 正确 正確な "
    "正確的 正確 正しい 最终 最終 最佳 정확한 올바른 옳은"
)
_NOUNS = (
    "answer answers choice choices option options label labels letter selection solution response "
    "conclusion pick antwort lösung auswahl wahl buchstabe option respuesta opción opcion elección "
    "eleccion letra alternativa réponse reponse choix lettre risposta scelta opzione lettera resposta "
    "opção opcao escolha antwoord keuze optie ответ вариант выбор буква відповідь варіант odpowiedź "
    "odpowiedz cevap yanıt seçenek svar vastaus απάντηση jawaban pilihan उत्तर جواب پاسخ الإجابة الجواب "
    "الاختيار تشובה תשובה 答案 答え 答 回答 解答 正解 选项 選項 選択肢 选择 選擇 정답 답안 답 선택"
)
_PHRASE_NOUNS = ("đáp án", "câu trả lời", "right one", "correct one", "best one")
_COPULAS = (
    "is are was be would should must will has to be ist lautet wäre wird es sería seria est "
    "serait è sarà é это является jest to är er on είναι adalah là है هي هو 是 为 為 就是 应该是 應該是 "
    "应为 应是 应选 選 选 は が 은 는 이 가 는요"
)
_VERBS = (
    "choose chose pick picked select selected say answer answered guess believe think opt vote wähle "
    "nehme tippe elijo escojo elegiría selecciono choisis choisirais scelgo escolho kies wybieram "
    "выбираю выберу"
)
_AND = (
    "and or und oder y e o u et ou ed och eller en of i lub oraz и или та "
    "або ve veya dan atau và hoặc و أو और या 和 或 或者 及 と や か 및 또는 와 과"
)
_BECAUSE = (
    "because since as for due given so therefore thus hence weil denn da weshalb porque pues puesto ya "
    "car parce puisque perché poiché siccome pois потому так поскольку тому ponieważ bo gdyż çünkü "
    "omdat aangezien fordi koska karena vì لأن क्योंकि 因为 因為 由于 由於 なぜなら 왜냐하면"
)
_NOT = (
    "not no neither nor never nicht kein keine weder no ni pas non né não nem niet geen не ни нет nie "
    "ani değil ikke inte ei bukan không ليس नहीं 不是 并非 並非 而不是 而非 不选 ではなく 아니라 아닌"
)
_RATHER = (
    "rather than", "instead of", "as opposed to", "unlike", "over", "but not", "and not",
    "anstatt", "statt", "en lugar de", "plutôt que", "anziché", "em vez de", "а не",
)  # fmt: skip

ALSO_LABELS = frozenset({"a", "i", "e", "o", "y", "u", "à", "è", "é", "и", "а", "в", "с", "о", "у", "к"})
"""Labels that are words of some language as well, in lower case."""


class LatePattern:
    """A regular expression that is compiled when it is first used.

    These here take half a second together, more than the rest of a command's start, and a reply that is a
    label and nothing else needs none of them.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """As of a compiled pattern."""
        return self._compiled.match(text, start)

    def search(self, text: str) -> re.Match[str] | None:
        """As of a compiled pattern."""
        return self._compiled.search(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """As of a compiled pattern."""
        return self._compiled.finditer(text)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.source, re.IGNORECASE)


def _any(words: str | tuple[str, ...]) -> str:
    """One of these words and no longer one; those of scripts without spaces need nothing behind them."""
    found = sorted(set(words.split() if isinstance(words, str) else words), key=len, reverse=True)
    spaced = [re.escape(word).replace(r"\ ", r"\s+") for word in found if word[-1] < "\u2e80"]
    joined = [re.escape(word) for word in found if word[-1] >= "\u2e80"]
    parts = [rf"(?:{'|'.join(spaced)})(?![^\W_\u2e80-\uffff])" if spaced else "", "|".join(joined)]
    return "(?:" + "|".join(part for part in parts if part) + ")"


_DRESS = r"[\s\"'`*_~$#({\[<«“‘「『【〔《:=>|,.。、-]*"
_NOUN = f"(?:{_any(_NOUNS)}|{_any(_PHRASE_NOUNS)})"
_ADJECTIVE = _any(_ADJECTIVES)
_ARTICLE = f"(?:{_any(_ARTICLES.replace(chr(108) + chr(39), ''))}|l['’])"
_COPULA = _any(_COPULAS)
_CONJUNCTION = _any(_AND)
PERHAPS = _any(
    "maybe perhaps possibly potentially vielleicht eventuell quizás quizá tal peut forse talvez misschien "
    "возможно może belki 也许 可能 たぶん 아마"
)
"""What puts a choice beside another one without deciding."""
BUT = _any("but aber pero mais ma mas maar но ama ale 但 但是 ただし")
ALSO = LatePattern(rf"\s*{_any('too also as well auch también aussi anche também ook')}[\s.!]*\Z")
"""Behind a further choice at a text's end."""
# "B versus C" decides nothing; "B (versus C)" sets C against B.
_JOINING = (
    rf"(?:{_CONJUNCTION}|{_any('plus')}|{_any(('as well as', 'along with', 'together with'))}"
    rf"|(?<![(\[])(?:versus|vs)(?![^\W_])\.?)"
)
# An article of one letter may be a label: it leads to a noun, or not at all.
_SAFE_ARTICLE = _any("the die der das la el le l il lo de het option label letter number no nr")
_NUMBER = r"(?:number|no\.|nr\.?|#|№|n°)"
_QUALIFIED = rf"(?:{_ARTICLE}\s*)?(?:{_ADJECTIVE}\s*)*{_NOUN}(?:\s*{_ADJECTIVE})*"
_OF = (
    r"(?:\s+(?:to|for|of|in|on|zu|auf|der|des|à|de|di)\s+"
    r"[^.:;,\n]{1,60}?(?=\s+(?:is|ist|es|est|è|é)\b|\s*:))?"
)
_STATED = rf"{_QUALIFIED}{_OF}[\s\"'*_`)]*(?:{_COPULA}\s*)*(?:[:=：]|[-–—>→]+(?=\s))?"
_CHOSEN = (
    rf"(?:(?:i|we|ich|yo|je|eu|io|ik|я)(?:'d|'ll|\s+(?:would|will|also|therefore|thus|hereby))*\s+)?"
    rf"(?:{_any(_VERBS)}(?:\s+(?:with|for|in|that|is|it))*|go(?:ing)?\s+(?:with|for))"
    rf"|(?:我\s*)?(?:选择|選擇|选|選)|(?:i|we)\s+go\s+(?:with|for)"
)
_IT_IS = r"(?:it|this|that|das|es|c|ce|it must|it should)\s*(?:'s|’s|is|be|ist|'est|’est|has to be)(?![^\W_])"
_OPENING = (
    r"(?:so|therefore|thus|hence|then|ok|okay|sure|well|finally|overall|in conclusion|in short|both|either|"
    r"also|daher|folglich|entonces|donc|alors|quindi|portanto|итак|значит|因此|所以|综上|故|したがって|따라서)"
    r"(?![^\W_\u2e80-\uffff])"
)

LEAD_IN = LatePattern(
    rf"{_DRESS}(?:{_OPENING}{_DRESS})*"
    rf"(?:(?:{_STATED}|{_CHOSEN}|{_IT_IS}){_DRESS}(?:{_SAFE_ARTICLE}\s*)?"
    rf"(?:(?:{_ADJECTIVE}\s*)*{_NOUN}\s*)?(?:{_NUMBER}\s*)?)?"
    rf"(?:{_COPULA}\s*)?[\s:=>]*"
)
"""Words that lead to a choice: "The correct answer is option", "I choose", "答案："."""

NAMED_ANEW = LatePattern(
    rf"(?<![^\W_])(?:{_ARTICLE}\s*)?(?:{_ADJECTIVE}\s*)*{_any(_NOUNS)}"
    rf"(?:\s*(?:{_COPULA}\s*|[:=]\s*))+(?:{_SAFE_ARTICLE}\s*)?(?:{_NOUN}\s*)?"
    rf"|(?<![^\W_])(?:i|we)\s+(?:would\s+|will\s+)?(?:{_any('choose pick select')}|go\s+with)"
    rf"\s*(?:{_NOUN}\s*)?"
    r"|(?<![^\W_])(?:no|wait|actually|sorry|correction|rather|i mean|oops|nein|nee|нет)[\s,:!.—–-]+"
    rf"(?:(?:it|that)(?:'s|\s+is)\s+)?(?:{_NOUN}\s*)?(?=\S)"
)
"""Words by which a text names a choice again, later on."""

JOINED = LatePattern(
    r"(?:(?:i\.?e|viz|namely|meaning)(?![^\W_])\.?"
    rf"|{_JOINING}|{PERHAPS}|{_any('then also to through bis hasta jusqu à até')})"
    rf"(?:\s*/\s*{_CONJUNCTION}|\s+{_any('then also')}|\s+{PERHAPS})*\s*(?:{_NOUN}\s*)?"
)
"""What joins a further item of a list, behind separators."""

NOUN = LatePattern(rf"(?:{_SAFE_ARTICLE}\s*)?{_NOUN}\s*")
"""What a choice is called: "option", "the answer"."""
CONJUNCTION = rf"(?<![^\W_]){_JOINING}"
"""What stands between two items and is no word of a sentence about one of them."""
REASON = LatePattern(
    rf"[\s,;:.–—-]*(?:{_any(_BECAUSE)}"
    r"|(?:is|are|seems|must be|should be|would be|looks)\s+(?:\w+ly\s+)?(?:the\s+|my\s+|a\s+)?"
    r"(?:right|correct|best|answer|choice|option|true|most|only|better|final|one)\b"
    r"|(?:ist|es|est|è|é)\s+(?:die\s+|la\s+|le\s+)?(?:richtig|korrekt|correct|juste|corret|giust|resp|rép|risp)\w*"
    r"|是(?:正确|正確|对|答案)|が正|です|입니다|이다|у нас)"
)
"""What stands behind a bare label that is named, and no sentence's first word."""
REASON_ANYWHERE = LatePattern(rf"(?<![^\W_]){_any(_BECAUSE.replace(' da ', ' ').replace(' so ', ' '))}")
"""Behind a reason other labels are spoken about."""
NOT_THIS = LatePattern(
    rf"[\s(]*(?:(?:{_any('but and aber sondern mais pero')}\s+)?(?:definitely\s+|certainly\s+)?{_any(_NOT)}"
    rf"|{_any(_RATHER)}|(?<=[(\[])(?:versus|vs)(?![^\W_]))"
    rf"\s*(?:{_SAFE_ARTICLE}\s*)?(?:{_NOUN}\s*)?"
)
"""What sets another label against the named one."""
CONTRASTED = LatePattern(
    rf"(?:(?<![^\W_])(?:{_any(_NOT)}|{_any(_RATHER)}"
    rf"|{_any('than of versus vs against except unlike')})|[≠])\s*(?:{_NOUN}\s*)?\Z"
)
TAKEN_BACK = LatePattern(
    r"[\s,;:.()–—-]*(?:is|was|are|isn't|isn’t|can|could|cannot|can't|can’t"
    r"|ist|est|es|è|é|would be|must be|seems)\s*"
    r"(?:clearly\s+|definitely\s+|also\s+|certainly\s+|probably\s+)?"
    r"(?:not|n't|wrong|incorrect|false|impossible|out|ruled|eliminated|excluded"
    r"|nicht|falsch|pas|faux|incorrecta?|no|sbagliat\w*)(?![^\W_])"
    r"|[\s,;:.()–—-]*(?:isn't|isn’t|can't|cannot|wrong|incorrect|false|falsch|faux)(?![^\W_])"
    r"|[\s?]*(?:no|nope|nein|non|нет)[\s.!]*\Z"
    r"|[\s,:]*(?:不对|不正确|错|錯|是错|不是(?=[\s。.!！]*\Z))"
)
"""What says that the choice just named is the wrong one."""
