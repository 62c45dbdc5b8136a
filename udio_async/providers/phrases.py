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
_QUEUE = r"(?:(?:the|a|our|your) )?(?:wait(?:ing)?[- ]?list|queue|backlog)"
_DONE = (
    r"(?:accepted|added|put|placed|moved|(?:en)?queued|submitted|received|created|started|"
    r"scheduled|processed|saved|made|generated|charged|deducted)"
)
_IS = r"(?: (?:be|been|being|is|are|was|were|has|have|yet|already|currently))*"
# "Was not queued", "no credits were charged", "the queue is full", "too many queued requests": such
# words are crossed out before `TAKEN` is searched, so that they hide no other word of it.
NOT_TAKEN = re.compile(
    rf"(?:(?:\bwill )?\b(?:not|never|cannot|nothing|(?:no|0|zero) (?:{_MADE}|credits?))|"
    rf"n['\u2019]t){_IS} {_DONE}"
    rf"(?: (?:in|into|on|onto|to) {_QUEUE})?|"
    r"\bqueue (?:is |was )?(?:currently |now )?full\b|"
    r"\b(?:too many|number of|(?:limit|maximum) of(?: \d+)?) (?:"
    rf"(?:queued|pending|waiting|scheduled|submitted) {_MADE}|"
    rf"{_MADE}{_IS} (?:queued|pending|waiting|received|submitted|created|started|"
    rf"in {_QUEUE}))|"
    "未(?:提交|受理|接受|加入)|(?:提交|加入)失败|队列(?:已满|过长)|"
    "(?:排队|等待|正在..)(?:中)?的?(?:任务|请求|人数)(?:数量?)?(?:过多|太多|已达|超|已满)"
)
_WAITS = (
    rf"queued|\b(?:in|into|on|onto|to) {_QUEUE}|wait(?:ing)?[- ]?list|backlog|scheduled|"
    r"\bposition\b\D{0,12}\d|\bin line\b|\bon hold\b|\bruns? later|\bfor later\b|"
    r"\bwaits\b|\bhas to wait|\bit must wait|\byours?\b[^.,;:!?]{0,20}\bwait"
)
_WAS_TAKEN = (
    r"accepted|submitted|registered|acknowledged|\bsaved\b|\badded\b|\btaken your\b|"
    r"(?:\bstart(?:ed|s)\b|\breceived\b|created)(?! too many)|"
    r"\b(?:charged|deducted|notified)\b|\bsuccess(?:fully)?\b|\btimed?[- ]?out\b"
)
_IS_MADE = (
    r"(?:\bis|\bnow|\byours? \w+ are) (?:(?:now|still|already|currently) )?"
    r"(?:being (?!rate|throttl|limit|block|updat|upgrad|maint)|pending|waiting|delayed|"
    r"process(?!\w* too many)|generating)|"
    r"\b(?:making|generating|creating|rendering|processing) (?:the|your) (?!too many)|"
    r"\b(?:the|your) (?:song|music|track|task|job|generation) "
    r"(?:is|was|has been) (?!too |(?:in)?valid)|\bon its way\b|"
    r"^(?:task|job|song|request|generation) (?:is )?(?:running|in progress)"
)
# "Your song will be made", and not what a limit or a server does: "your limit will reset".
_WILL_BE_MADE = (
    r"(?:(?<!limit )(?<!quota )\bwill|['\u2019]ll) (?!not|fail|reset|have to|need|be (?:"
    r"able|allowed|available|back|(?:un)?blocked|lifted|rejected|refused|reset|restored)\b)"
)
_IS_A_COPY = (
    r"\balready (?:be|process|exist)|duplicate|identical|idempoten|"
    r"\bsame (?!time|ip\b|address|client|user|key|account)|\bthis (?:task|job|song|generation)"
)
_TAKEN_IN_CHINESE = (
    "已(?:经)?(?:提交|受理|接受|接收|收到|创建|排队|加入|进入|存在)|"
    "(?:提交|创建|受理|操作|请求)成功|^成功|排队|前面还有|正在(?:排队|生成|处理|制作)|(?:等待|生成|处理)中|重复"
)
TAKEN = re.compile(
    f"{_WAITS}|{_WAS_TAKEN}|{_IS_MADE}|{_WILL_BE_MADE}|{_IS_A_COPY}|{_TAKEN_IN_CHINESE}"
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

# "Daily limit reached", "500 songs per month": no wait of minutes lifts it.
_PERIOD = r"(?:\bdaily|\bweekly|\bmonthly|\btoday|\b(?:per|a|this|the|each) (?:day|week|month))\b"
_CAP = r"(?:\blimit|\bquota|\ballowance|\bmaximum|\btoo many|\bused up|\bexceed)"
OF_A_PERIOD = (
    rf"{NOT_QUOTED}(?:{_PERIOD}[^.!?]{{0,60}}{_CAP}|{_CAP}[^.!?]{{0,60}}{_PERIOD}|"
    r"[今每本当][日天周月][^。]{0,16}(?:上限|限额|限制|已达|用完|额度|次数))"
)

# The key and the account ----------------------------------------------------------------------

_KEY = r"(?:api[- ]?keys?|access keys?|(?:access |api |auth )?tokens?|credentials|authorization)"
_UNFIT = (
    r"(?:invalid|not valid|incorrect|wrong|expired|revoked|deactivated|disabled|deleted|unknown|"
    r"missing|required|not (?:found|provided))"
)
BAD_KEY = (
    rf"{NOT_QUOTED}(?:"
    rf"\b{_KEY} (?:(?:is|was|has|have|been|provided|given) )*{_UNFIT}\b|"
    rf"\b(?:invalid|incorrect|wrong|expired|revoked|unknown|missing|no) (?:\w+ )?{_KEY}\b|"
    r"\bunauthori[sz]ed\b|\bunauthenticated\b|"
    r"(?:密钥|令牌)[^\uff0c。]{0,6}(?:无效|错误|过期|失效|不存在)|"
    r"(?:无效|错误|过期)的?(?:api)? ?(?:密钥|令牌))"
)
ACCOUNT_CLOSED = (
    r"\b(?:account|user|key) (?:(?:is|was|has|have|been|temporarily|permanently) )*"
    r"(?:suspended|banned|blocked|disabled|deactivated|closed|locked|frozen)\b|"
    r"(?:账号|账户)[^\uff0c。]{0,6}(?:封禁|冻结|停用|禁用)"
)
