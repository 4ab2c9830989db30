"""What people and programs are told, in words: what happened, why, what to do, where to look. No value of an attribute.

Called by `delivery`; knows nothing of how it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, NamedTuple

import msgspec

from dirbridge.store.notifications import Kind, Notice

MOST_TOLD = 50
"""Of the notices that one mail gathers, how many it tells in full."""


class Wording(NamedTuple):
    """A mail's subject and its two forms."""

    subject: str
    plain: str
    html: str


class Remedy(NamedTuple):
    """Something to do, and the command that does it or shows more, in which `{domain}` stands for the job's."""

    sentence: str
    command: str = ""


class News(msgspec.Struct, frozen=True):
    """A notice with what its reader knows the job by.

    Attributes:
        domain: the directory that the job reads.
        link: where the job can be looked at.
    """

    notice: Notice
    domain: str
    service_principal: str
    link: str


class _Telling(NamedTuple):
    headline: Callable[[News], str]
    what: Callable[[News], str]
    remedies: Sequence[Remedy]


_SHOW = Remedy("See how the job stands:", "dirbridge jobs show {domain}")
_REPAIR = (
    Remedy("Repair the cause. It is tried again by itself; at once by:", "dirbridge jobs clear-quarantine {domain}"),
    _SHOW,
)

_TELLING: Mapping[Kind, _Telling] = {
    Kind.QUARANTINED: _Telling(
        lambda news: f"{news.domain} is in quarantine",
        lambda _: "Its synchronization cannot go on as it should. It is tried again at growing intervals, up to a day.",
        _REPAIR,
    ),
    Kind.CHANGED: _Telling(
        lambda news: f"{news.domain} is in quarantine for another reason",
        lambda _: "It was in quarantine already; what keeps it there now is something else.",
        _REPAIR,
    ),
    Kind.DELETES_HELD: _Telling(
        lambda news: f"{news.domain} waits for your word on deletes",
        lambda _: (
            "More deletes or disables were found than may go without a person's word. None of these was carried out; "
            "creates and updates go on."
        ),
        (
            Remedy("See what waits:", "dirbridge jobs staged {domain}"),
            Remedy("Let go what is meant:", "dirbridge jobs allow-deletes {domain}"),
            Remedy("Keep what is not meant, and mend the directory:", "dirbridge jobs reject-deletes {domain}"),
        ),
    ),
    Kind.DISABLED: _Telling(
        lambda news: f"{news.domain} is switched off",
        lambda _: "It was in quarantine for four weeks and runs no more. Its objects in the tenant stay as they are.",
        (Remedy("Repair the cause, then let it run again:", "dirbridge jobs start {domain}"), _SHOW),
    ),
    Kind.LATE: _Telling(
        lambda news: f"{news.domain} has had no successful cycle for three intervals",
        lambda _: "Changes of the directory do not arrive in the tenant.",
        (
            Remedy("See whether an agent of the domain is active:", "dirbridge agent list"),
            Remedy("See that a process of the service runs that works on jobs (role all or worker), and its log."),
            _SHOW,
        ),
    ),
    Kind.RECOVERED: _Telling(
        lambda news: f"{news.domain} works again",
        lambda _: "A cycle has ended well. What was told before is over; there is nothing to do.",
        (),
    ),
    Kind.TEST: _Telling(
        lambda news: f"{news.domain}: a test",
        lambda _: "Somebody asked for this message, to see whether it arrives. It did; there is nothing to do.",
        (),
    ),
}


def mail(news: Sequence[News], tenant: str) -> Wording:
    """Put what is told together into one mail, the oldest first.

    Args:
        tenant: its name, for readers who look after several.
    """
    told = news[:MOST_TOLD]
    more = len(news) - len(told)
    footer = f"Sent by dirbridge for {tenant}. Who is told stands in the secrets of each configuration."
    parts = [_plain(each) for each in told]
    parts += [f"And {more} more."] if more else []
    return Wording(
        f"[dirbridge] {_subject(news)}",
        "\n\n".join([*parts, f"-- \n{footer}"]) + "\n",
        _page([_html(each) for each in told], more, footer),
    )


def _subject(news: Sequence[News]) -> str:
    if len(news) == 1:
        return _TELLING[news[0].notice.kind].headline(news[0])
    domains = list(dict.fromkeys(each.domain for each in news))
    named = ", ".join(domains[:3]) + (f" and {len(domains) - 3} more" if len(domains) > 3 else "")
    return f"{len(news)} messages about {named}"


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _why(notice: Notice) -> str:
    return f"{notice.message} ({notice.code})" if notice.code and notice.message else notice.message


def _remedies(news: News) -> list[Remedy]:
    """What the error itself recommends comes first; deletes that are held have a choice of their own."""
    own = news.notice.recommended_action
    said = [Remedy(own)] if own and news.notice.kind is not Kind.DELETES_HELD else []
    usual = _TELLING[news.notice.kind].remedies
    return said + [Remedy(one.sentence, one.command.replace("{domain}", news.domain)) for one in usual]


def _plain(news: News) -> str:
    notice, telling = news.notice, _TELLING[news.notice.kind]
    lines = [f"{telling.headline(news)}.", f"{_stamp(notice.at)}, job {notice.job}", "", telling.what(news)]
    lines += ["", f"Why: {_why(notice)}"] if notice.message else []
    if remedies := _remedies(news):
        lines += ["", "What to do:"]
        lines += [f"- {one.sentence} {one.command}".rstrip() for one in remedies]
    return "\n".join([*lines, "", news.link])


def _html(news: News) -> str:
    notice, telling = news.notice, _TELLING[news.notice.kind]
    parts = [
        f"<h2>{escape(telling.headline(news))}</h2>",
        f"<p><small>{_stamp(notice.at)}, job {escape(notice.job)}</small></p>",
        f"<p>{escape(telling.what(news))}</p>",
    ]
    parts += [f"<p><b>Why:</b> {escape(_why(notice))}</p>"] if notice.message else []
    if remedies := _remedies(news):
        items = [
            f"<li>{escape(one.sentence)}{f' <code>{escape(one.command)}</code>' if one.command else ''}</li>"
            for one in remedies
        ]
        parts.append(f"<p><b>What to do:</b></p><ul>{''.join(items)}</ul>")
    parts.append(f'<p><a href="{escape(news.link)}">{escape(news.link)}</a></p>')
    return "\n".join(parts)


def _page(parts: Sequence[str], more: int, footer: str) -> str:
    body = "\n<hr>\n".join([*parts, *([f"<p>And {more} more.</p>"] if more else [])])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>dirbridge</title></head>\n'
        f'<body style="font-family: sans-serif">\n{body}\n<hr>\n'
        f"<p><small>{escape(footer)}</small></p>\n</body></html>\n"
    )


def document(news: News, tenant: str) -> dict[str, Any]:
    """Give what a webhook gets: type, time and data as Standard Webhooks has them.

    Args:
        tenant: its id.
    """
    notice, telling = news.notice, _TELLING[news.notice.kind]
    return {
        "type": f"job.{notice.kind.value}" if notice.kind is not Kind.TEST else "test",
        "timestamp": notice.at.isoformat().replace("+00:00", "Z"),
        "data": {
            "id": str(notice.id),
            "tenantId": tenant,
            "servicePrincipalId": news.service_principal,
            "jobId": notice.job,
            "domain": news.domain,
            "summary": f"{telling.headline(news)}.",
            "reason": notice.reason or None,
            "code": notice.code or None,
            "message": notice.message or None,
            "recommendedActions": [f"{one.sentence} {one.command}".rstrip() for one in _remedies(news)],
            "link": news.link,
        },
    }
