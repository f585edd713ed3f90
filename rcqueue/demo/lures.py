"""What spam and phishing say: templates whose {places} a campaign fills anew for each mail."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Lure:
    """One kind of unwanted mail. `hosts` are the domains it is sent from and links to; {n} in one is the campaign's."""

    name: str
    kind: str  #: SPAM or PHISH
    senders: tuple[str, ...]  #: display names
    locals: tuple[str, ...]
    hosts: tuple[str, ...]
    subjects: tuple[str, ...]
    text: str
    link: str  #: what the link says
    path: str
    rules: tuple[str, ...]
    reason: str = ""


CAMPAIGNS = (
    Lure(
        "parcel fee", "SPAM",
        ("Parcel Service", "Delivery Desk", "Your Courier", "Customs Office", "Box Express"),
        ("tracking", "no-reply", "delivery", "parcel{d}", "customs"),
        ("parcel-fee{n}.example", "track-my-box{n}.test", "courier-desk{n}.example"),
        ("Your parcel {ref} is waiting", "Delivery failed: {amount} fee due", "Final notice: parcel {ref}",
         "We missed you today, {first}", "Customs fee of {amount} for {ref}", "Action needed: shipment {ref}"),
        "Dear customer,\n\nyour parcel {ref} could not be delivered because a fee of {amount} has not been paid. "
        "Please pay within {days} days or it will be returned to the sender.\n\nThis is an automatic "
        "message.\nCourier Desk",
        "Pay {amount} now", "/pay/{ref}", ("BAYES_99", "BAYES_999", "URIBL_BLACK", "HTML_MESSAGE", "SPF_SOFTFAIL"),
    ),
    Lure(
        "crypto doubling", "SPAM",
        ("Crypto Insider", "Block Wealth", "Elena from Trading", "Token Team", "Profit Desk"),
        ("win", "profit", "hello{d}", "elena", "news"),
        ("lucky{n}.example", "coin-gain{n}.test", "ten-x{n}.example"),
        ("You have been selected, {first}", "{amount} is waiting in your wallet", "Make {amount} a day from home",
         "{percent} % in {days} days, guaranteed", "RE: your {coin} payout", "LAST CHANCE FOR {coin} HOLDERS"),
        "Hi {first},\n\npeople in your town made {amount} last week with our {coin} robot. It trades while you "
        "sleep, and you keep {percent} % of all profit. Only {days} places left today.\n\nTo your success\nElena",
        "Claim your place", "/j/{ref}",
        ("BAYES_99", "BAYES_999", "BITCOIN_SPAM_07", "URIBL_DBL_SPAM", "LOTS_OF_MONEY", "HTML_MESSAGE"),
    ),
    Lure(
        "pharma", "SPAM",
        ("Canadian Meds", "Health Shop", "Doctor Approved", "V-Store", "Your Pharmacist"),
        ("shop", "meds", "order{d}", "health"),
        ("pills-direct{n}.example", "med-outlet{n}.test"),
        ("-{percent} % on all p1lls", "{first}, your prescription is ready", "No doctor needed",
         "Ch eap m e d s, discreet",
         "Your order {ref} has shipped", "Feel {days}0 again"),
        "V1agra, C1al1s and 200 more from {amount}. No prescription. Discreet parcel, {days} days.\n\nOrder {ref} "
        "today and get {percent} % off everything, {first}.",
        "Open the shop", "/rx?c={ref}",
        ("BAYES_99", "DRUGS_ERECTILE", "FUZZY_PHARMACY", "URIBL_BLACK", "HELO_DYNAMIC_IPADDR", "RDNS_NONE"),
    ),
    Lure(
        "sale", "SPAM",
        ("Mega Deals", "Outlet Online", "Brand Store", "Flash Sale"),
        ("shop", "deals", "offers", "noreply{d}"),
        ("deals{n}.example", "outlet{n}.test", "bulk{n}.example"),
        ("Last chance: {percent} % off", "{first}, we saved this for you", "Everything must go ({days} days left)",
         "Your {amount} voucher ends tonight", "Re: your order {ref}"),
        "Hello {first},\n\nour warehouse closes in {days} days. Watches, shoes and bags from {amount}, up to "
        "{percent} % off. Use voucher {ref}.\n\nYou get this mail because you signed up. To leave, answer with STOP.",
        "See all offers", "/s/{ref}", ("BAYES_99", "RCVD_IN_SBL_CSS", "HTML_IMAGE_ONLY_24", "HTML_MESSAGE"),
    ),
    Lure(
        "casino", "SPAM",
        ("Royal Spin", "VIP Lounge", "Jackpot Club"),
        ("vip", "club", "bonus{d}"),
        ("spin-palace{n}.example", "jackpot{n}.test"),
        ("{days}0 free spins for {first}", "Your bonus of {amount} is ready", "VIP invitation {ref}",
         "You won {amount}!!!"),
        "Welcome bonus {amount} plus {days}0 free spins. No deposit. Payout in minutes.\n\nYour code: {ref}",
        "Play now", "/go/{ref}", ("BAYES_99", "URIBL_DBL_SPAM", "RCVD_IN_XBL", "HTML_MESSAGE", "LOTS_OF_MONEY"),
    ),
    Lure(
        "energy", "SPAM",
        ("Save Energy", "Solar Check", "Tariff Advice"),
        ("info", "advice", "offer{d}"),
        ("solar-check{n}.example", "cheap-power{n}.test"),
        ("Pay {percent} % less for power", "{first}, your roof earns {amount} a year", "New rule from {days} January"),
        "Owners in your area save {amount} a year. Answer five questions and learn in {days} minutes whether your roof "
        "qualifies. Reference {ref}.",
        "Start the check", "/check?{ref}", ("BAYES_80", "DCC_CHECK", "URIBL_BLACK", "HTML_MESSAGE", "PYZOR_CHECK"),
    ),
)  # fmt: skip

#: In these {own} is the recipient's own domain and hosts are look-alikes of it.
PHISHING = (
    Lure(
        "password expiry", "PHISH",
        ("{Own} IT Desk", "IT Support", "Mail Administrator", "{Own} Helpdesk"),
        ("it-desk", "helpdesk", "admin", "postmaster"), (),
        ("Password expires today", "Your {own} password expires in {days} hours", "[{Own}] Keep your current password",
         "Mailbox {ref}: password notice"),
        "Dear {first},\n\nthe password of your {own} account expires in {days} hours. Keep your current password "
        "here, or you will lose access to your mail.\n\nIT Desk, {own}",
        "https://portal.{own}/keep", "/keep/{ref}",
        ("FROM_LOOKS_LIKE_OWN", "URI_PHISH", "URIBL_DBL_PHISH", "SPF_FAIL", "HTML_MESSAGE"),
        "link label and link target differ; sender's domain resembles the recipient's",
    ),
    Lure(
        "quota", "PHISH",
        ("Mail System", "{Own} Mail", "Storage Notice"),
        ("mail-system", "no-reply", "quota"), (),
        ("Your mailbox is {percent} % full", "{days} messages could not be delivered to you",
         "Storage limit reached: {own}"),
        "{days} incoming messages are held because your mailbox at {own} is {percent} % full. Release them below. "
        "Messages that are not released within 24 hours are deleted.\n\nMail System",
        "Release my messages", "/release?u={ref}",
        ("TVD_PH_SUBJ_ACCOUNTS_POST", "URI_PHISH", "FROM_LOOKS_LIKE_OWN", "DMARC_REJECT", "HTML_MESSAGE"),
        "page asks for a password",
    ),
    Lure(
        "shared document", "PHISH",
        ("Document Share", "{First} via Share", "E-Sign Service"),
        ("share", "documents", "sign"), (),
        ("{First} shared \"Payroll {ref}\" with you", "Signature needed: contract {ref}",
         "Voice message, 0:{days}7 min"),
        "{First} has shared a document with you at {own}.\n\n    Payroll_{ref}.pdf (214 KB)\n\nSign in with your "
        "mail account to view it. The link works for {days} days.",
        "Open document", "/view/{ref}",
        ("URI_PHISH", "URIBL_DBL_PHISH", "BAYES_80", "HTML_MESSAGE", "DKIM_INVALID"),
        "link to a sign-in page on a new domain",
    ),
)  # fmt: skip

#: One mail each.
ODD_ONES = (
    Lure(
        "advance fee", "SPAM",
        ("Barrister {First} {Last}", "Mrs. {Last}", "Engr. {First} {Last}", "Bank Transfer Dept"),
        ("{first}.{last}{d}", "office{d}", "barrister{d}"),
        ("freemail.example", "webmail.test"),
        ("Dear beneficiary", "YOUR COMPENSATION OF {amount}", "Confidential business", "From the desk of Barr. {Last}"),
        "Good day,\n\nI am Barrister {First} {Last}, attorney to a late client who left {amount} with no next of "
        "kin. I ask you to stand as beneficiary. Your share will be {percent} %. Please answer with your full name, "
        "address and telephone so that I can send the papers.\n\nYours in trust\nBarr. {Last}",
        "", "", ("BAYES_99", "ADVANCE_FEE_3_NEW", "LOTS_OF_MONEY", "FREEMAIL_FORGED_REPLYTO"),
    ),
    Lure(
        "search ranking", "SPAM",
        ("{First} {Last}", "{First} from Rankings"),
        ("{first}", "{first}.{last}", "growth{d}"),
        ("rank-you{n}.example", "seo-gurus{n}.test"),
        ("Quick question about your website", "{first}, page 1 in {days} weeks", "Errors found on your site",
         "Re: Re: proposal"),
        "Hi,\n\nI looked at your website and found {days} errors that keep you off page one. We can fix them for "
        "{amount} a month. Shall I send a proposal?\n\n{First} {Last}\nGrowth consultant",
        "", "", ("BAYES_99", "DCC_CHECK", "SPF_SOFTFAIL", "PYZOR_CHECK"),
    ),
    Lure(
        "fake invoice", "SPAM",
        ("Billing Dept", "Domain Registry Service", "Trademark Office"),
        ("billing", "registry", "accounts{d}"),
        ("domain-listing{n}.example", "register-office{n}.test"),
        ("Invoice {ref} overdue", "Your domain {own} expires", "Renewal notice {ref}: {amount}"),
        "Notice {ref}\n\nYour listing of {own} has not been renewed. Amount due: {amount}. To avoid interruption "
        "pay within {days} days by bank transfer.\n\nThis is an offer, not a bill.",
        "Renew", "/renew/{ref}", ("BAYES_99", "URIBL_BLACK", "RDNS_NONE", "HTML_MESSAGE"),
    ),
    Lure(
        "fake chief", "PHISH",
        ("{First} {Last} (CEO)", "{First} {Last}"),
        ("chief{d}", "office.of.ceo{d}", "{first}.{last}{d}"),
        ("freemail.example", "webmail.test"),
        ("Are you at your desk?", "Urgent: payment today", "Quick task", "Gift cards for the team"),
        "Hi {first},\n\nI am in a meeting and can't take calls. I need a payment of {amount} made today, or cards "
        "for the team, whichever is quicker. Answer here, I will explain later.\n\n{First} {Last}\nSent from my "
        "phone",
        "", "", ("FREEMAIL_FORGED_REPLYTO", "BAYES_80", "FROM_EXCESS_BASE64", "SUBJ_ALL_CAPS"),
        "display name of an executive, sender outside",
    ),
    Lure(
        "easy job", "SPAM",
        ("HR {First}", "Recruiting", "Talent Search"),
        ("hr{d}", "jobs", "career{d}"),
        ("easy-jobs{n}.example", "hiring{n}.test"),
        ("{amount} a week, part time", "Your application {ref}", "We read your CV, {first}"),
        "Dear {first},\n\nyour CV suits our position of payment agent. {days} hours a week, {amount}, work from "
        "home. You receive transfers and pass them on, {percent} % stay with you. Answer to this mail.",
        "", "", ("BAYES_99", "RCVD_IN_XBL", "HELO_DYNAMIC_IPADDR", "GAPPY_SUBJECT"),
    ),
    Lure(
        "extortion", "SPAM",
        ("Your hacker", "", "Anonymous"),
        ("user{d}", "x{d}", "{first}{d}"),
        ("nowhere{n}.test", "anon-mail.example"),
        ("I recorded you", "Your account {own} was hacked", "Pay {amount} or else", "last warning {ref}"),
        "I have full access to your device. I recorded you through your camera. Send {amount} in {coin} to the "
        "wallet below within {days}0 hours and I will delete everything.\n\nbc1-NOT-A-WALLET-{ref}\n\nDo not "
        "answer. The sender is generated.",
        "", "", ("BAYES_99", "BAYES_999", "BITCOIN_SPAM_07", "SPF_FAIL", "RDNS_NONE", "HELO_DYNAMIC_IPADDR"),
    ),
)  # fmt: skip


_COINS = ("BTC", "ETH", "DOGE", "SOL")
_CURRENCIES = ("EUR {}", "${}", "GBP {}", "{} EUR")


def fill(rng: Random, first: str, last: str, recipient: str) -> dict[str, str]:
    """The places of the templates for one mail. `first` and `last` name its sender; the recipient is spoken to by the
    first name of the address."""
    own = recipient.rpartition("@")[2]
    amount = rng.choice(
        (f"{rng.randrange(1, 5)}.{rng.randrange(10, 99)}", f"{rng.randrange(2, 990)},000", "1,95", "499")
    )
    return {
        "first": recipient.partition(".")[0].partition("@")[0].title(),
        "First": first,
        "last": last.lower(),
        "Last": last,
        "own": own,
        "Own": own.partition(".")[0].upper(),
        "ref": f"{rng.choice('ABCDEFGH')}{rng.randrange(10**7):07}",
        "amount": rng.choice(_CURRENCIES).format(amount),
        "percent": str(rng.randrange(40, 99)),
        "days": str(rng.randrange(2, 9)),
        "coin": rng.choice(_COINS),
        "d": str(rng.randrange(1, 999)),
    }
