"""Mail in other scripts: Japanese, Russian, Arabic, Greek, Chinese, Korean, Hindi and a few more."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rcqueue.demo import compose, places
from rcqueue.demo.compose import Draft
from rcqueue.demo.rules import Verdict


@dataclass(frozen=True)
class Script:
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    text: str
    charsets: tuple[str, ...]  #: beside UTF-8, what mail in it still comes in
    local: str  #: a local part in the script, for SMTPUTF8
    domain: str  #: a reserved domain in the script


SCRIPTS = (
    Script(
        ("山田太郎", "お客様サポート", "株式会社サンプル"),
        ("【重要】アカウントの確認のお願い", "ご注文ありがとうございます",
         "お荷物をお届けできませんでした", "会議資料の送付"),
        "いつもご利用いただきありがとうございます。\nお客様のアカウントを確認する必要があります。二十四時間以内に手続きをお願いいたします。\n",
        ("iso-2022-jp", "shift_jis"), "案内", "例え.example",
    ),
    Script(
        ("Иван Петров", "Служба поддержки", "Интернет-магазин"),
        ("Ваш заказ ожидает оплаты", "Срочно: подтвердите учётную запись", "Выгодное предложение только сегодня",
         "Счёт на оплату"),
        "Уважаемый клиент!\nВаша посылка задержана на складе. Оплатите сбор в течение двух дней, иначе она будет "
        "возвращена.\n",
        ("koi8-r", "windows-1251"), "почта", "пример.example",
    ),
    Script(
        ("أحمد علي", "خدمة العملاء", "متجر الإلكترونيات"),
        ("تم تعليق حسابك", "لقد ربحت جائزة", "عرض خاص لمدة يومين", "فاتورة جديدة"),
        "عزيزي العميل،\nتم تعليق حسابك مؤقتا. يرجى تأكيد بياناتك خلال أربع وعشرين ساعة لتجنب الإغلاق.\n",
        ("windows-1256", "iso-8859-6"), "بريد", "مثال.example",
    ),
    Script(
        ("Γιώργος Παπαδόπουλος", "Εξυπηρέτηση πελατών", "Ταχυμεταφορές"),
        ("Το δέμα σας περιμένει", "Επιβεβαιώστε τον λογαριασμό σας", "Προσφορά μόνο για σήμερα", "Τιμολόγιο Νοεμβρίου"),
        "Αγαπητέ πελάτη,\nτο δέμα σας δεν μπόρεσε να παραδοθεί. Πληρώστε το τέλος εντός δύο ημερών.\n",
        ("iso-8859-7", "windows-1253"), "δοκιμή", "παράδειγμα.example",
    ),
    Script(
        ("李伟", "客户服务中心", "发票中心"),
        ("您的账户需要验证", "代开各类发票", "恭喜您获得奖金", "会议通知"),
        "尊敬的客户：\n您的邮箱容量已满，请在二十四小时内点击下面的链接进行升级，否则将无法接收邮件。\n",
        ("gb2312", "gb18030", "big5"), "邮箱", "例子.example",
    ),
    Script(
        ("김민준", "고객센터", "온라인 쇼핑몰"),
        ("계정 확인이 필요합니다", "택배를 배송할 수 없습니다", "오늘만 특별 할인", "견적서 보내드립니다"),
        "고객님 안녕하세요.\n주문하신 상품을 배송할 수 없습니다. 이틀 안에 주소를 확인해 주세요.\n",
        ("euc-kr", "iso-2022-kr"), "메일", "실례.example",
    ),
    Script(
        ("राम शर्मा", "ग्राहक सेवा", "ऑनलाइन बाज़ार"),
        ("आपका खाता बंद होने वाला है", "आपने इनाम जीता है", "विशेष छूट केवल आज", "नया बिल"),
        "प्रिय ग्राहक,\nआपका पार्सल नहीं पहुँचाया जा सका। कृपया दो दिन के भीतर शुल्क का भुगतान करें।\n",
        (), "डाक", "उदाहरण.example",
    ),
    Script(
        ("דנה כהן", "שירות לקוחות"),
        ("החשבון שלך נחסם", "חבילה ממתינה לך", "מבצע אחרון"),
        "לקוח יקר,\nהחבילה שלך ממתינה. יש לשלם את העמלה תוך יומיים.\n",
        ("iso-8859-8", "windows-1255"), "דואר", "דוגמה.example",
    ),
    Script(
        ("สมชาย ใจดี", "ศูนย์บริการลูกค้า"),
        ("บัญชีของคุณถูกระงับ", "พัสดุของคุณรอการจัดส่ง"),
        "เรียนลูกค้า\nพัสดุของคุณไม่สามารถจัดส่งได้ กรุณาชำระค่าธรรมเนียมภายในสองวัน\n",
        ("tis-620",), "จดหมาย", "ตัวอย่าง.example",
    ),
)  # fmt: skip


def draft(rng: Random) -> Draft:
    """Spam in another script: in UTF-8 or an old charset, in encoded words or (every fourth) raw with SMTPUTF8."""
    script = rng.choice(SCRIPTS)
    raw = rng.random() < 0.25
    charset = "utf-8" if raw or not script.charsets or rng.random() < 0.6 else rng.choice(script.charsets)
    name, subject = rng.choice(script.names), rng.choice(script.subjects)
    sender = f"{script.local}@{script.domain}" if raw else f"info{rng.randrange(99)}@mail{rng.randrange(9)}.example"
    text = script.text * rng.randrange(1, 6)
    return Draft(
        kind="script",
        sender=sender,
        recipients=places.recipients(rng, 1 if rng.random() < 0.8 else places.crowd(rng)),
        from_=f'"{name}" <{sender}>' if raw else compose.mailbox(name, sender, charset),
        subject=subject if raw else compose.word(subject, charset),
        content=compose.text(text, charset=charset),
        verdict=Verdict("SPAM", "", ("BAYES_99", "CHARSET_FARAWAY_HEADER", "FROM_EXCESS_BASE64"), rng.uniform(5, 14)),
        client=places.dial_up(rng),
        auth=(rng.choice(("pass", "fail", "none")), "none", "none"),
        preview=text,
        smtputf8=raw,
    )
