"""People: who they are, their roles, and who is locked out of bodies. Every change is an entry like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from rcqueue.model.access import ROLES
from rcqueue.widgets.keymap import bindings
from rcqueue.widgets.line import Piece
from rcqueue.widgets.text import plural

from .acpi import UNSAID
from .dialogs import Ask, some
from .page import Page

if TYPE_CHECKING:
    from rcqueue.client.answers import Person

SHORTEST = 8  # characters of a password, before the server has its say


class PeopleScreen(Page):
    CONTEXT = "people"
    TITLE_TEXT = "People"
    COLUMNS = ("NAME", "", "ROLES", "LOCKED OUT OF", "SIGNED IN")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("people")]

    def on_mount(self) -> None:
        super().on_mount()
        self.app.work(self._read())

    async def _read(self) -> None:
        people = await self.app.call(self.desk.api.people())
        if people is not None and self.is_mounted:
            self.table.show([(person.name, self._row(person)) for person in people])

    @staticmethod
    def _row(person: Person) -> list[Piece]:
        style = "" if person.enabled else "dim"
        return [
            (person.name, style),
            ("" if person.enabled else "disabled", style),
            (", ".join(f"{grant.role} at {grant.customer}" for grant in person.roles), style),
            (", ".join(person.locks), "warn"),
            (plural(person.sessions, "session") if person.sessions else "", style),
        ]

    async def _do(self, name: str, verb: str, said: str, **arguments: str) -> None:
        await self.change(
            self.desk.api.change_person(name, verb, arguments), said, f"people.{verb}", name=name, **arguments
        )
        await self._read()

    def _on(self, verb: str, said: str, **arguments: str) -> None:
        """A change to the person under the cursor that needs no more words."""
        if (name := self.table.key) is not None:
            self.app.work(self._do(name, verb, said.format(name), **arguments))

    def do_people_lock(self) -> None:
        self._on("lock", "{} is locked out of bodies", lock="bodies")

    def do_people_unlock(self) -> None:
        self._on("unlock", "{} may read bodies again, as far as the roles go", lock="bodies")

    def do_people_enable(self) -> None:
        self._on("enable", "{} can sign in again")

    def do_people_disable(self) -> None:
        if (name := self.table.key) is not None:
            self.app.work(self._disable(name))

    async def _disable(self, name: str) -> None:
        sentence = f"Disable {name}? Their sessions end and their claims go. Type {name} to confirm."
        if await self._ask(Ask(sentence, lambda typed: "" if typed == name else f"type {name}, or esc leaves")):
            await self._do(name, "disable", f"{name} can no longer sign in")

    def do_people_grant(self) -> None:
        if (name := self.table.key) is not None:
            self.app.work(self._role(name, grant=True))

    def do_people_revoke(self) -> None:
        if (name := self.table.key) is not None:
            self.app.work(self._role(name, grant=False))

    async def _role(self, name: str, *, grant: bool) -> None:
        verb = "Grant" if grant else "Revoke"
        sentence = f"{verb} {name} which role? ROLE, or ROLE at CUSTOMER."
        answer = await self._ask(Ask(sentence, role_check, hint="operator at acme/sales"))
        if answer:
            role, customer = role_at(answer)
            said = f"{name} {'has' if grant else 'no longer has'} the role {role} at {customer}"
            await self._do(name, verb.lower(), said, role=role, customer=customer)

    def do_people_create(self) -> None:
        self.app.work(self._create())

    async def _create(self) -> None:
        from rcqueue.model.mail import RoleGrant

        name = await self._ask(Ask("The name of the new account?", some("a name"), does="goes on"))
        if not name:
            return
        given = await self._ask(Ask(f"Which role for {name}? ROLE, or ROLE at CUSTOMER.", role_check, hint="operator"))
        if not given:
            return
        password = await self._password(name)
        if password:
            role, customer = role_at(given)
            grants = [RoleGrant(role=role, customer=customer)]
            call, asked = self.desk.api.create_person(name, password, grants), {"role": role, "customer": customer}
            await self.change(call, f"{name} can sign in", "people.create", name=name, password=UNSAID, **asked)
            await self._read()

    def do_people_password(self) -> None:
        if (name := self.table.key) is not None:
            self.app.work(self._set_password(name))

    async def _set_password(self, name: str) -> None:
        if password := await self._password(name):
            call, said = self.desk.api.set_password(name, password), f"{name} has a new password"
            await self.change(call, said, "people.password", name=name, password=UNSAID)
            await self._read()

    async def _password(self, name: str) -> str | None:
        def check(typed: str) -> str:
            return "" if len(typed) >= SHORTEST else f"expected at least {SHORTEST} characters"

        return await self._ask(Ask(f"A password for {name}?", check, password=True, does="sets it"))

    async def _ask(self, question: Ask) -> str | None:
        return await self.app.push_screen_wait(question)


def role_at(text: str) -> tuple[str, str]:
    """(role, customer) of `operator at acme/sales`; without a customer it is `all`. Raises ValueError."""
    role, at, customer = text.partition(" at ")
    role, customer = role.strip(), customer.strip() if at else "all"
    if role not in ROLES or not customer or " " in customer:
        raise ValueError(f"expected one of {', '.join(ROLES)}, and then at CUSTOMER if not everywhere")
    return role, customer


def role_check(text: str) -> str:
    try:
        role_at(text)
    except ValueError as error:
        return str(error)
    return ""
