"""What services say of money, of limits, and of what became of a request, as regular expressions.

They are searched in `ReadReply.text`: lower case, one line. No page lists such words, so each
pattern is a kind of sentence: a few words near each other.
"""

CDN_WORDS = "error code: 1010|challenge-platform|cf-chl|just a moment|cf-mitigated"

# "You have insufficient API credits", "Your account balance is too low", "Credits are used up":
# a word for lack and a word for money, near each other in either order. Not meant are words for
# what was not charged ("0 credits were charged") and for rights ("insufficient permissions").
_LACKING = (
    r"(?:\b(?:insufficient|out of|too low|too few|exhausted|depleted|"
    r"negative|lacks?|exceed(?:s|ed)?|zero|0|used up|no more|no remaining)|"
    r"n[o'\u2019]t (?:have )?(?:enough|sufficient|any))"
)
_MONEY = r"(?:credits?|balance|funds|coins)\b"
_TAKEN = r"(?! (?:\w+ ){0,2}(?:charged|deducted|used|spent|taken|consumed)\b)"
NO_MONEY = "|".join(
    (
        rf"{_LACKING} (?:(?!permission|scope|access|right)\S+ ){{0,2}}{_MONEY}{_TAKEN}",
        rf"{_MONEY} (?:(?:is|are|has|have|was|been|remaining|left) )*{_LACKING}",
        r"\bno credits? (?:left|remaining|available)|insufficient[_ ](?:quota|credits?|balance)",
        r"payment required",
        r"\b(?:subscription|plan|trial) (?:has |is |was )?(?:expired|ended|inactive|cancell?ed)",
        r"\bno active (?:subscription|plan)",
        "余额不足|积分不足|点数不足|额度不足",
    )
)
# Said to an empty account, but also offered to an account that only has to wait.
OFFER = (
    r"\btop[- ]?up\b|\brecharge\b|"
    r"\b(?:add|buy|purchase|purchasing) (?:more |some )?(?:credits|funds)"
)

# "Too many concurrent generations", "maximum of 4 active jobs", "wait for one to finish": a word
# for a number that is reached, near a word for "at the same time", within one sentence. Such a
# request is sent again. So the answer is not read like this if it has words about the request's own
# texts, which a provider quotes; words that may say that the request was taken; words that refuse
# for longer than a song takes; or an offer ("for higher concurrency"). "At most 2 songs at once" is
# about one request.
_REACHED = (
    r"(?:\btoo many|\b(?:limit|max(?:imum)?|quota|at most|no more than|up to|reached)\b|"
    r"\bonly (?:\w+ )?(?:\d|one|two|a single)|\bexceed|"
    r"\balready (?:\w+ )?\d|\b\d+ ?(?:/|of) ?\d+\b)"
)
_MADE = r"(?:tasks?|jobs?|generations?|songs?|tracks?|requests?)\b"
_AT_ONCE = (
    r"(?:(?<!higher )(?<!more )(?<!extra )(?<!increased )(?<!unlimited )(?:\bconcurren|\bsimultan)|"
    rf"\b(?:parallel|running|active|ongoing|unfinished|in[- ]progress) {_MADE}|"
    rf"\b{_MADE} (?:\w+ )?(?:in parallel|running|in progress))"
)
_AT_A_TIME = (
    rf"\b(?:too many (?:\w+ )?{_MADE}|"
    r"only (?:\d+|one|two|a single) (?:tasks?|jobs?|generations?|requests?))"
    r" (?:\w+ )?(?:at once|at (?:a|the same) time)"
)
_OTHERS = (
    r"(?:one|another|others?|some|any|previous|earlier|existing|"
    r"(?:running|active|current|pending) (?:tasks|jobs|generations|songs|tracks|requests))"
)
_OWN_TEXTS = (
    r"lyric|prompt|\btitle|\btags?\b|\bstyle|descri|moderat|guideline|polic|inappropriate|"
    r"in (?:a|one|a single) (?:request|song)"
)
_MAY_BE_TAKEN = (
    r"queued|\b(?:in|into|to) (?:(?:the|a|our|your) )?queue|scheduled|\bstart(?:ed|s)\b|"
    r"(?:\bwill|['\u2019]ll) (?!not|fail)|(?<!not )accepted|submitted|received|created|"
    r"\b(?:is|now) (?:now )?(?:being|pending|waiting|delayed|process)|"
    r"\balready (?:be|process|exist)|duplicate|identical|idempoten|\bsame (?!time)|"
    r"\bthis (?:task|job|song|generation)|"
    r"wait(?:ing)?[- ]?list|\bon hold\b|backlog|\bsaved\b|\badded\b|\bruns? later|"
    r"\bwaits\b|\bhas to wait|\bit must wait|\byours?\b[^.,;:!?]{0,20}\bwait|"
    r"已提交|已受理|已接受|排队|队列"
)
_FOR_LONGER = (
    r"suspend|\bbann|expired|\bended\b|\bnot allowed|used up|\bmonth|\bdaily\b|\btoday\b|"
    r"\b(?:per|a|this) (?:day|week|year)\b|(?:maximum|limit|quota) (?:is |of )?0\b"
)
# "Put on the waiting list", "your request is queued": taken, even under a number for "wait".
HELD = (
    r"^(?!.*(?:\bnot|n['\u2019]t) (?:be )?(?:added|put|placed|moved)).*(?:"
    r"\b(?:added|put|placed|moved) (?:in|into|on|onto|to) (?:(?:the|a|our|your) )?"
    r"(?:wait(?:ing)?[- ]?list|queue|backlog)|\byours waits\b|"
    r"\b(?:your (?:task|job|song|request|generation)|yours|it) (?:"
    r"(?:is|was|has been) (?:now |already )?(?:accepted|queued|saved|scheduled|waiting|pending|"
    r"on hold|being processed)|will be (?:made|run|started|processed))|"
    r"\bwe(?: will|['\u2019]ll) (?:make|run|start|process) it\b)"
)
NEVER_BESIDE = rf"^(?!.*(?:{_OWN_TEXTS}|{_MAY_BE_TAKEN}|{_FOR_LONGER}))"
TOO_MANY = (
    rf"{NEVER_BESIDE}.*(?:"
    rf"{_REACHED}[^.;!?]{{0,60}}{_AT_ONCE}|{_AT_ONCE}[^.;!?]{{0,60}}{_REACHED}|{_AT_A_TIME}|"
    rf"\bwait (?:for|until) (?:(?:your|the|an?) )?{_OTHERS} [^.;!?]{{0,40}}"
    r"(?:finish|complete|end|done)|"
    r"并发[^。]{0,12}(?:上限|超|过多|限制|已满)|任务(?:数量?)?(?:过多|已达|超))"
)
TOO_MANY_ASKED = rf"{NEVER_BESIDE}.*\btoo many (?:tasks|jobs|generations|requests)\b"
