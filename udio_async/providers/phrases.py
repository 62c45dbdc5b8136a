"""What services say of money, of limits, and of what became of a request, as regular expressions.

They are searched in `ReadReply.text`: lower case, one line, codes spelled out as words ("too many
requests" for "TOO_MANY_REQUESTS"), traditional Chinese characters as simplified ones. No page
lists such words, so each pattern is a kind of sentence: a few words near each other.
"""

import re

CDN_WORDS = "error code: 1010|challenge-platform|cf-chl|just a moment|cf-mitigated"

# Money ----------------------------------------------------------------------------------------

# "You have insufficient API credits", "Your account balance is too low", "Credits are used up":
# a word for lack and a word for money, near each other in either order. Not meant are words for
# what was not charged ("0 credits were charged") and for rights ("insufficient permissions").
_LACKING = (
    r"(?:\b(?:insufficient|out of|too low|too few|exhausted|depleted|"
    r"negative|lacks?|exceed(?:s|ed)?|zero|0|used up|no more|no remaining)|"
    r"n[o'\u2019]t (?:have )?(?:enough|sufficient|any))"
)
_MONEY = r"(?:credits?|balance|funds|coins)\b"
_SPENT = r"(?! (?:\w+ ){0,2}(?:charged|deducted|used|spent|taken|consumed)\b)"
NO_MONEY = "|".join(
    (
        rf"{_LACKING} (?:(?!permission|scope|access|right)\S+ ){{0,2}}{_MONEY}{_SPENT}",
        rf"{_MONEY} (?:(?:is|are|has|have|was|been|remaining|left) )*{_LACKING}",
        r"\bno credits? (?:left|remaining|available)|insufficient[_ ](?:quota|credits?|balance)",
        r"\bcredits?\b[^.]{0,30}\bonly have \d|\bcredit limit (?:is |was )?(?:reached|exceeded)",
        r"\bquota\b[^.]{0,60}\bbilling\b|payment required",
        r"\b(?:subscription|plan|trial) (?:has |is |was )?(?:expired|ended|inactive|cancell?ed)",
        r"\bno active (?:subscription|plan)",
        "(?:余额|积分|点数|额度|次数)(?:已|已经)?(?:不足|不够|用完|用尽|耗尽)|欠费",
    )
)
# Said to an empty account, but also offered to an account that only has to wait.
OFFER = (
    r"\btop[- ]?up\b|\brecharge\b|"
    r"\b(?:add|buy|purchase|purchasing) (?:more |some )?(?:credits|funds)"
)

# What became of the request -------------------------------------------------------------------

_MADE = r"(?:tasks?|jobs?|generations?|songs?|tracks?|requests?)\b"
_QUEUE = r"(?:(?:the|a|our|your) )?(?:wait(?:ing)?[- ]?list|queue|backlog)\b"
_DONE = (
    r"(?:accepted|acknowledged|added|created|(?:en)?queued|put|placed|moved|received|registered|"
    r"saved|scheduled|started|submitted)"
)
_IS = r"(?:(?:be|been|being|is|are|was|were|has|have|yet|now|already|currently|successfully) )*"
# "Was not queued", "no credits were charged", "the queue is full", "too many queued requests": such
# words are crossed out before `TAKEN` is searched, so that they hide no other word of it.
NOT_TAKEN = re.compile(
    rf"(?:(?:\bwill )?\b(?:not|never|cannot|nothing|(?:no|0|zero) (?:{_MADE}|credits?))|"
    rf"n['\u2019]t) {_IS}(?:{_DONE}|processed|made|generated|charged|deducted)"
    rf"(?: (?:in|into|on|onto|to) {_QUEUE})?|"
    r"\bqueue (?:is |was )?(?:currently |now )?full\b|"
    r"\b(?:too many|number of|(?:limit|maximum) of(?: \d+)?) (?:"
    rf"(?:queued|pending|waiting|scheduled|submitted) {_MADE}|"
    rf"{_MADE} {_IS}(?:queued|pending|waiting|received|submitted|created|started|in {_QUEUE}))|"
    "未(?:提交|受理|接受|加入)|(?:提交|加入)失败|队列(?:已满|过长)|"
    "(?:排队|等待|正在..)(?:中)?的?(?:任务|请求|人数)(?:数量?)?(?:过多|太多|较多|已达|超|已满)"
)
# One request, and what was done with it: "the request was queued", "we have received your request",
# "job queued", "Accepted.". Not "requests received in 10 seconds", not "a new window will start".
_WAS_TAKEN = (
    r"\b(?:yours|it|we|we have|we['\u2019]ve|request|task|job|song|generation|track) "
    rf"{_IS}{_DONE}\b"
    r"(?! (?:too many|again|in \d|per|every|at once|at a time|in parallel|simultan))|"
    rf"(?:^|[.:;!,] ){_IS}(?:accepted|(?:en)?queued|"
    r"submitted)\b(?! (?:too many|again|requests|tasks|jobs))|\balready (?:submitted|queued)\b|"
    r"\b(?:was|been) queued\b|\b1 queued request\b|^success\b|"
    r"\bcredits? (?:were|was|have been|has been) (?:charged|deducted)\b"
)
_WAITS = (
    rf"\b(?:added|put|placed|moved|is|are|now|number \d+) (?:in|into|on|onto|to) {_QUEUE}|"
    r"\bposition\b\D{0,12}\d|\bon hold\b|\bfor later\b|\bruns? later|\bnext in line\b|"
    r"\byours? (?:waits|has to wait)\b|"
    r"\b(?:your|this) (?:request|task|job|song|generation|track) (?:waits|has to wait)\b|"
    r"\bit (?:must|has to) wait\b"
)
_IS_MADE = (
    r"\b(?:your|this) (?:request|task|job|song|generation|track|music) (?:is|are) "
    r"(?:(?:now|still|already|currently|being) )*"
    r"(?:generat|process|creat|render|pending|waiting|delayed|running|made\b|in progress)|"
    r"\balready (?:being|processing|generating|exists?)\b|\bon its way\b"
)
_WILL_BE_MADE = (
    r"\b(?:your|yours|this|the|it|request|task|job|song|generation|track) will (?:now |then )?be "
    r"(?:made|run|started|processed|generated|created|queued|ready)\b|"
    r"\bwe(?: will|['\u2019]ll) (?:make|run|start|process|generate|create|notify)\b|"
    r"\bwe are (?:making|generating|creating|processing) (?:it|the|your)\b|"
    r"\byou(?: will|['\u2019]ll) (?:be notified|get your)\b"
)
_IS_A_COPY = r"\bduplicate\b|\bidentical\b|\bidempoten|\bsame (?:prompt|request|content)\b"
_TAKEN_IN_CHINESE = (
    "已(?:经)?(?:成功)?(?:提交|受理|接受|接收|收到|创建|加入|进入|排队)|"
    "(?:提交|创建|受理)成功|(?:您|你)的(?:任务|歌曲|请求)(?:正在|已)|排队中|前面还有"
)
TAKEN = re.compile(
    f"{_WAS_TAKEN}|{_WAITS}|{_IS_MADE}|{_WILL_BE_MADE}|{_IS_A_COPY}|{_TAKEN_IN_CHINESE}"
)

# Limits ---------------------------------------------------------------------------------------

# The request's own texts, which a provider quotes: beside them words about limits prove nothing.
_OWN_TEXTS = (
    r"lyric|prompt|\btitle|\btags?\b|\bstyle|descri|moderat|guideline|polic|inappropriate|"
    r"in (?:a|one|a single) (?:request|song)"
)
# A refusal that lasts longer than a song takes.
_FOR_LONGER = (
    r"suspend|\bbann|expired|\bended\b|\bnot allowed|used up|\bmonth|\bdaily\b|\btoday\b|"
    r"\b(?:per|a|this) (?:day|week|year)\b|(?:maximum|limit|quota) (?:is |of )?0\b"
)
NOT_QUOTED = rf"^(?!.*(?:{_OWN_TEXTS})).*"
NEVER_BESIDE = rf"^(?!.*(?:{_OWN_TEXTS}|{_FOR_LONGER})).*"

# "Too many concurrent generations", "maximum of 4 active jobs", "wait for one to finish": a word
# for a number that is reached, near a word for "at the same time", within one sentence. Such a
# request is sent again. So the answer is not read like this beside the words above, or if it is an
# offer ("for higher concurrency"). "At most 2 songs at once" is about one request.
_REACHED = (
    r"(?:\btoo many|\b(?:limit|max(?:imum)?|quota|at most|no more than|up to|reached)\b|"
    r"\bonly (?:\w+ )?(?:\d|one|two|a single)|\bexceed|"
    r"\balready (?:\w+ )?\d|\b\d+ ?(?:/|of) ?\d+\b)"
)
_AT_ONCE = (
    r"(?:(?<!higher )(?<!more )(?<!extra )(?<!increased )(?<!unlimited )(?:\bconcurren|\bsimultan)|"
    r"\b(?:parallel|running|active|ongoing|unfinished|pending|queued|in[- ]progress) "
    rf"{_MADE}|\b{_MADE} (?:\w+ )?(?:in parallel|running|in progress))"
)
_AT_A_TIME = (
    rf"\b(?:too many (?:\w+ )?{_MADE}|"
    r"only (?:\w+ )?(?:\d+|one|two|a single) (?:tasks?|jobs?|generations?|requests?|"
    r"songs can be \w+))"
    r" (?:\w+ )?(?:at once|at (?:a|the same) time)"
)
_OTHERS = (
    r"(?:one|another|others?|some|any|previous|earlier|existing|"
    r"(?:running|active|current|pending) (?:tasks|jobs|generations|songs|tracks|requests)|"
    r"(?<=your )(?:running|active|current) (?:task|job|generation|song|track|request))"
)
TOO_MANY = (
    rf"{NEVER_BESIDE}(?:"
    rf"{_REACHED}[^.!?]{{0,60}}{_AT_ONCE}|{_AT_ONCE}[^.!?]{{0,60}}{_REACHED}|{_AT_A_TIME}|"
    rf"\bwait (?:for|until) (?:(?:your|the|an?) )?{_OTHERS} [^.;!?]{{0,40}}"
    r"(?:finish|complete|end|done)|\bqueue (?:is )?(?:currently )?full\b|"
    r"(?:并发|同时|동시)[^。.]{0,12}(?:上限|超|过多|限制|已满|초과)|"
    r"(?:任务|队列)(?:数量?)?(?:过多|已达|超|已满)|任务正在进行|"
    r"(?:demasiad|\btrop d|\bzu viele|слишком много)[^.]{0,30}(?:simult|gleichzeit|одновремен))"
)
TOO_FAST = (
    rf"{NEVER_BESIDE}(?:\btoo many (?:tasks|jobs|generations|requests)\b|\brate[- ]?limit|"
    r"\bthrottl|\bslow down|\btoo (?:fast|frequent|quick)|频繁)"
)

# "Daily limit reached", "500 songs per month": no wait of minutes lifts it. Beside a limit of a
# minute, or a time to come back, it is only mentioned.
_PERIOD = (
    r"(?:\bdaily|\bweekly|\bmonthly|\btoday|\b(?:per|a|each) (?:day|week|month)|"
    r"\b(?:this|the) (?:week|month))\b"
)
_CAP = r"(?:\blimit|\bquota|\ballowance|\bmaximum|\btoo many|\bused up|\bexceed)"
_SOON = r"\bper (?:\d+ )?(?:second|minute|hour)|\b(?:seconds?|minutes?)\b|\bagain in\b|秒|分钟"
OF_A_PERIOD = (
    rf"^(?!.*(?:{_OWN_TEXTS}|{_SOON})).*(?:"
    rf"{_PERIOD}[^.!?]{{0,60}}{_CAP}|{_CAP}[^.!?]{{0,60}}{_PERIOD}|"
    r"[今每本当][日天周月][^。]{0,16}(?:上限|限额|限制|已达|用完|额度|次数))"
)

# The key and the account ----------------------------------------------------------------------

_KEY = r"(?:api[- ]?keys?|access keys?|(?:access|api|auth|bearer) tokens?|credentials)"
_UNFIT = (
    r"(?:invalid|not valid|incorrect|wrong|expired|revoked|deactivated|disabled|deleted|unknown|"
    r"missing|required|not (?:found|provided))"
)
BAD_KEY = (
    rf"{NOT_QUOTED}(?:"
    rf"\b{_KEY} (?:(?:is|was|has|have|been|provided|given) )*{_UNFIT}\b|"
    rf"\b(?:invalid|incorrect|wrong|expired|revoked|unknown|missing|no) {_KEY}\b|"
    r"\binvalid token\b|^unauthori[sz]ed(?=[.:!]|$)|"
    r"(?:密钥|令牌)[^\uff0c。]{0,6}(?:无效|错误|过期|失效|不存在)|"
    r"(?:无效|错误|过期)的?(?:api)? ?(?:密钥|令牌))"
)
ACCOUNT_CLOSED = (
    r"\b(?:account|(?:api|this|your) key)(?: (?:is|was|has|have|been|temporarily|permanently))* "
    r"(?:suspended|banned|blocked|disabled|deactivated|closed|locked|frozen)\b|"
    r"(?:账号|账户)[^\uff0c。]{0,6}(?:封禁|冻结|停用|禁用)"
)
