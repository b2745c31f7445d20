"""People: made, found, changed, disabled and deleted, each by one unit together with its audit record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.forwarding import place_of_address
from entrepot.auth.last_administrator import AdministratorsKept
from entrepot.auth.people.errors import (
    NameTakenError,
    OwnAccountError,
    PasswordRejectedError,
    PersonUnknownError,
)
from entrepot.auth.people.identities import require_free_address, require_free_identity
from entrepot.auth.people.new_people import Profile, require_new_name, require_profile
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.user_store import PersonPage

if TYPE_CHECKING:
    from entrepot.auth.grants import OwnPasswordGrant, SelfGrant, SystemGrant
    from entrepot.auth.people.new_people import NewPerson, ProfileChange
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.auth.people.passwords import PasswordHashing
    from entrepot.auth.principals import Principal
    from entrepot.auth.rights_of_others import RightsOfOthers
    from entrepot.auth.system_actions import CreateUser, DeleteUser, ListUser, ReadUser, UpdateUser
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.metadata.user_store import PersonQuery, PersonRow

__all__ = ["People", "require_person"]


class People:
    """The service, for any number of tasks. What changes rights is decided under locks in the unit that does it.

    Whatever is done to an account is decided by those who hold all that its person does (S9).
    """

    def __init__(
        self, metadata: Metadata, hashing: PasswordHashing, policy: PasswordPolicy, rights: RightsOfOthers
    ) -> None:
        self._metadata = metadata
        self._rights = rights
        self._hashing = hashing
        self._policy = policy

    async def create(self, grant: SystemGrant[CreateUser], new: NewPerson, password: str) -> PersonRow:
        """Make a person who can log in with `password` and has no role; the policy says whether to change it first.

        Raises:
            InvalidPersonError, NameTakenError, EmailTakenError, PasswordRejectedError: nobody was made.
        """
        require_new_name(new.name)
        require_profile(new.profile)
        reasons = self._policy.reasons_against(password, (new.name, new.profile.email, new.profile.realname))
        if reasons:
            raise PasswordRejectedError(reasons)
        place = place_of_address(grant.principal.address, forwarded=grant.principal.forwarded)
        password_hash, subject = await self._hashing.hash(password, place=place), new_public_id()
        limits = self._policy.limits
        due = {"must_change_password": True} if limits.change_first else {}
        record_id = new_public_id()

        async def unit(tx: Transaction) -> PersonRow:
            await require_free_identity(tx, new)
            profile = new.profile
            person_id = await tx.users.insert(
                subject, new.name, email=profile.email, realname=profile.realname, comment=profile.comment
            )
            if person_id is None:  # by a program of the version before, which holds nothing
                raise NameTakenError("person", new.name)
            await tx.users.set_password(
                person_id, password_hash, must_change=limits.change_first, kept=limits.history + 1
            )
            after = {"user_id": person_id, "username": new.name, **_profile_facts(new.profile), **due}
            about = AuditObject("user", new.name)
            await tx.audit.append(
                audit_record(
                    grant.principal, AuditAction.USER_CREATE, about, after=after, record_id=record_id
                )
            )
            return await require_person(tx, person_id)

        return await self._metadata.write(unit)

    async def get(self, grant: SystemGrant[ReadUser], person_id: int) -> PersonRow:
        """Return a person.

        Raises:
            PersonUnknownError: there is none.
        """
        del grant  # it is the proof that the caller may see everybody
        return _found(await self._metadata.users.find(person_id), person_id)

    async def get_self(self, grant: SelfGrant | OwnPasswordGrant) -> PersonRow:
        """Return the person who asks.

        Raises:
            PersonUnknownError: it is a robot or the host that asks, or the person was deleted meanwhile.
        """
        subject = grant.principal.subject
        return _found(await self._metadata.users.find_subject(subject), grant.principal.name)

    async def list_page(self, grant: SystemGrant[ListUser], query: PersonQuery) -> PersonPage:
        """Return a page of people."""
        del grant
        return await self._metadata.users.list_page(query)

    async def search(
        self, grant: SelfGrant | SystemGrant[ListUser], prefix: str, limit: int, skip: int = 0
    ) -> PersonPage:
        """Return a page of people whose login name begins so, for whoever wants to make somebody a member."""
        del grant
        return await self._metadata.users.search(prefix, limit, skip) if prefix else PersonPage((), 0)

    async def update(self, grant: SystemGrant[UpdateUser], person_id: int, change: ProfileChange) -> None:
        """Change what is known of a person.

        Raises:
            PersonUnknownError, InvalidPersonError, EmailTakenError: nothing was changed.
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, person_id)
        await self._update(grant.principal, person_id, change)

    async def update_self(self, grant: SelfGrant, change: ProfileChange) -> None:
        """Change what is known of oneself.

        Raises:
            PersonUnknownError, InvalidPersonError, EmailTakenError: nothing was changed.
        """
        await self._update(grant.principal, (await self.get_self(grant)).id, change)

    async def _update(self, principal: Principal, person_id: int, change: ProfileChange) -> None:
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            await tx.epochs.hold_order()
            person = await require_person(tx, person_id)
            former = Profile(person.email, person.realname, person.comment)
            profile = change.of(former)
            require_profile(profile)
            await require_free_address(tx, person, profile.email)
            await tx.users.update_profile(
                person_id, email=profile.email, realname=profile.realname, comment=profile.comment
            )
            await tx.audit.append(
                audit_record(
                    principal,
                    AuditAction.USER_UPDATE,
                    AuditObject("user", person.name),
                    before=_profile_facts(former),
                    after={**_profile_facts(profile), "changed": _changed_fields(former, profile)},
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)

    async def delete(self, grant: SystemGrant[DeleteUser], person_id: int) -> str:
        """Delete a person with roles, groups, tokens and sessions, free the name, and return whose subject is gone.

        Raises:
            PersonUnknownError, OwnAccountError, LastOperationsAdminError: nobody was deleted.
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, person_id)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> str:
            async with AdministratorsKept(tx):
                person = await _require_another(tx, grant.principal, person_id)
                await tx.users.erase(person_id)
            await tx.login_failures.unlock(person.name)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.USER_DELETE,
                    AuditObject("user", person.name),
                    # Not their id, under which their acts stay when their name is erased from those.
                    before={"user_id": person.id, "enabled": person.disabled_at is None},
                    record_id=record_id,
                )
            )
            return person.subject

        return await self._metadata.write(unit)

    async def disable(self, grant: SystemGrant[UpdateUser], person_id: int) -> str:
        """Let a person in no more and return their subject; what was issued to them dies with their epoch (S14).

        Raises:
            PersonUnknownError, OwnAccountError, LastOperationsAdminError: nobody was disabled.
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, person_id)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> str:
            async with AdministratorsKept(tx):
                person = await _require_another(tx, grant.principal, person_id)
                if person.disabled_at is None:
                    await tx.users.disable(person_id)
            if person.disabled_at is None:
                await _record_switch(tx, grant.principal, person, record_id)
            return person.subject

        return await self._metadata.write(unit)

    async def enable(self, grant: SystemGrant[UpdateUser], person_id: int) -> None:
        """Let a disabled person in again.

        Raises:
            PersonUnknownError: there is none.
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, person_id)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            person = await require_person(tx, person_id)
            if person.disabled_at is not None:
                await tx.users.enable(person_id)
                await _record_switch(tx, grant.principal, person, record_id)

        await self._metadata.write(unit)

    async def unlock(self, grant: SystemGrant[UpdateUser], person_id: int) -> int:
        """Remove a person's locks, wherever the wrong passwords came from; return how many addresses had failed.

        Raises:
            PersonUnknownError: there is none.
            AccessDeniedError: the person holds what the principal does not (S9): who guesses at their password goes on.
        """
        await self._rights.require_held(grant.principal, person_id)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> int:
            person = await require_person(tx, person_id)
            addresses = await tx.login_failures.unlock(person.name)
            about = AuditObject("user", person.name)
            after = {"addresses": addresses}
            await tx.audit.append(
                audit_record(
                    grant.principal, AuditAction.USER_UNLOCK, about, after=after, record_id=record_id
                )
            )
            return addresses

        return await self._metadata.write(unit)


async def require_person(tx: Transaction, person_id: int) -> PersonRow:
    """Return a person whose row stays as it is until the unit ends.

    Raises:
        PersonUnknownError: there is none.
    """
    return _found(await tx.users.find(person_id), person_id)


def _found(person: PersonRow | None, asked: str | int) -> PersonRow:
    if person is None:
        raise PersonUnknownError(asked)
    return person


async def _require_another(tx: Transaction, principal: Principal, person_id: int) -> PersonRow:
    """Return a person who is not the one who asks, and whose row stays as it is until the unit ends."""
    person = await require_person(tx, person_id)
    if person.subject == principal.subject:
        raise OwnAccountError
    return person


async def _record_switch(tx: Transaction, principal: Principal, person: PersonRow, record_id: str) -> None:
    was_enabled = person.disabled_at is None
    await tx.audit.append(
        audit_record(
            principal,
            AuditAction.USER_UPDATE,
            AuditObject("user", person.name),
            before={"enabled": was_enabled},
            after={"enabled": not was_enabled},
            record_id=record_id,
        )
    )


def _profile_facts(profile: Profile) -> dict[str, object]:
    """Return what an audit record tells of a profile.

    Erasing a person must not break the chain, so personal texts stay out of what is hashed: whether there is one is
    told, and by `_changed_fields` which were changed. Commitments to the texts would have to be erased with the person
    whom the record is about, while what can be erased of a record are the data of who acted.
    """
    return {
        "email": bool(profile.email),
        "realname": bool(profile.realname),
        "comment": bool(profile.comment),
    }


def _changed_fields(former: Profile, profile: Profile) -> list[str]:
    """Return the names of what is known of a person otherwise than before."""
    return [
        name for name in ("email", "realname", "comment") if getattr(former, name) != getattr(profile, name)
    ]
