"""The words of the reach page: each agent with its verdict and what to do, each supervisor with theirs."""

from collections.abc import Sequence
from datetime import datetime

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.reach import AgentReach, Supervisor
from console.templatetags.lm import icon
from console.text.wording import Word, ago, bdi, commas, initials, moment, short_name
from orgs.duty.roster import AWAY, OFF_DUTY, QUIET

NAMED = 3  # the rest are counted


def reach_word(one: AgentReach) -> Word:
    """Of an agent: how many of its people can be reached now."""
    if one.reachable > 1:
        return Word("ok", "circle-check-f", _("{n} reachable").format(n=number_format(one.reachable)))
    if one.reachable:
        return Word("warn", "alert-triangle-f", _("1 reachable: no second pair of hands"))
    if one.unproven:
        return Word("warn", "alert-triangle-f", _("Nobody proven yet"))
    if _waits_for_quiet(one):
        return Word("warn", "clock", _("Told after quiet hours"))
    return Word("crit", "circle-x-f", _("Nobody reachable"))


def _waits_for_quiet(one: AgentReach) -> bool:
    """Whether somebody is told when their quiet hours end."""
    return any(person.absent == QUIET and person.reachable for person in one.supervisors)


def advice(one: AgentReach) -> str:
    """What to do for an agent that reaches nobody for certain; empty for the others."""
    if one.reachable or _waits_for_quiet(one):
        return ""
    people = {
        reason: _listed([short_name(str(person.user)) for person in one.supervisors if person.reason == reason])
        for reason in ("never_delivered", "no_phone", "refused", "never_asked", "standin", "inactive")
    }
    if people["standin"]:
        return _("Nobody can be proven before a real notification-service takes the pushes.")
    if names := people["never_delivered"]:
        return format_html(_("Send a test to {names}: it is proven when the phone has it."), names=names)
    if names := people["no_phone"]:
        return format_html(_("Ask {names} to sign in once in the chat app, then send a test."), names=names)
    if names := people["refused"]:
        return format_html(_("Ask {names} to open the chat app, then send a test."), names=names)
    if people["never_asked"]:
        return _("Press “Ask again” to learn who has a phone.")
    if names := people["inactive"]:
        return format_html(_("{names} is locked out: map a role to somebody else."), names=names)
    if one.supervisors:
        return ""  # the line of duty says when nobody is there
    return _("No supervisor backs it up: map a role to somebody.")


def _listed(names: list[str]) -> SafeString:
    shown: list[str] = [bdi(name) for name in names[:NAMED]]
    if more := names[NAMED:]:
        shown.append(_("{n} more").format(n=len(more)))
    return commas(shown)


def now_word(one: Supervisor, now: datetime) -> Word:
    """Of a person: reachable now, not told now and why, unproven, not reachable, or not known."""
    if one.absent and one.state != "unreachable":
        return Word("none", "clock", _absent(one, now))
    if one.reachable:
        return Word("ok", "circle-check-f", _("Reachable"))
    if one.state == "unproven":
        return Word("warn", "clock", _("Unproven"))
    if one.reason == "never_asked":
        return Word("none", "circle-dashed", _("Not known"))
    return Word("crit", "circle-x-f", _("Not reachable"))


def _absent(one: Supervisor, now: datetime) -> str:
    if one.absent == QUIET and one.quiet_until:
        when = moment(one.quiet_until, get_current_timezone_name(), now)
        return format_html(_("Quiet hours until {time}"), time=when)
    return {AWAY: _("Away"), OFF_DUTY: _("Off duty"), QUIET: _("Quiet hours")}[one.absent]


def phone_word(one: Supervisor) -> Word:
    """Of a person's phones: how many, or what is wrong with them."""
    match one.reason:
        case "inactive":
            return Word("crit", "user-off", _("Locked out"))
        case "never_asked":
            return Word("none", "circle-dashed", _("Not asked yet"))
        case "standin":
            return Word("none", "device-mobile-off", _("None: a stand-in takes the pushes"))
        case "no_phone":
            return Word("crit", "device-mobile-off", _("None registered"))
        case "refused":
            return Word("warn", "device-mobile-x", _("Last push failed"))
    tokens = one.user.push_tokens
    if tokens is None:
        return Word("none", "device-mobile", _("Proven by delivery"))
    return Word("ink", "device-mobile", ngettext("{n} phone", "{n} phones", tokens).format(n=tokens))


CELLS = """
<td><span class="lm-person"><span class="avatar" aria-hidden="true">{}</span><b>{}</b>\
<small class="lm-reach-tier">{}</small></span></td>
<td class="lm-num">{}</td>
<td><span class="lm-pill lm-pill--{}">{}{}</span></td>
<td data-label="{}"><span class="lm-sev lm-sev--{}">{}{}</span>{}</td>
<td data-label="{}" class="lm-num">{}</td>
<td data-label="{}" class="lm-num">{}</td>
"""


def cells(one: Supervisor, now: datetime) -> SafeString:
    """A person's cells that are the same for all of their agents. No template: there are as many as people."""
    state, phone, name, tier = now_word(one, now), phone_word(one), bdi(one.user), number_format(one.tier)
    refused = one.refused_at if one.reason == "refused" else None
    return format_html(
        CELLS,
        *(initials(one.user), name, _("tier %(tier)s") % {"tier": tier}, tier),
        *(state.tone, icon(state.icon, "icon-s"), state.text),
        *(_("Phone registered"), phone.tone, icon(phone.icon, "icon-s"), phone.text),
        format_html(' <span class="lm-dim">{}</span>', ago(refused, now)) if refused else "",
        *(_("Last delivered"), ago(one.delivered_at, now) if one.delivered_at else _("never")),
        *(_("Last opened"), ago(one.opened_at, now) if one.opened_at else _("never")),
    )


def nobody_sentence(found: Sequence[AgentReach]) -> str:
    """Which agents reach nobody, for the head of the page; empty if there is none."""
    unreached = [one for one in found if not one.reachable and not one.unproven]
    agents = [one.agent for one in unreached if not _waits_for_quiet(one)]
    if not agents:
        return ""
    text = ngettext(
        "{names} can reach nobody: its failures show on the board and ring no phone.",
        "{names} can reach nobody: their failures show on the board and ring no phone.",
        len(agents),
    )
    return format_html(text, names=_listed([agent.name for agent in agents]))
