"""Roles, bindings and what they grant."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from panel.accounts.permissions import can, can_anywhere, require, requires
from panel.accounts.roles import GRANTS, PERMISSIONS, Role


class Thing:
    def __init__(self, *scopes: tuple[str, int]) -> None:
        self._scopes = set(scopes)

    def scopes(self) -> set[tuple[str, int]]:
        return self._scopes


def test_each_role_holds_all_that_the_lower_one_holds() -> None:
    assert GRANTS[Role.VIEWER] < GRANTS[Role.OPERATOR] < GRANTS[Role.ADMINISTRATOR] == PERMISSIONS


def test_a_viewer_sees_and_changes_nothing(viewer: Any) -> None:
    assert can(viewer, "infrastructure.view")
    assert not can(viewer, "ve.migrate")
    with pytest.raises(PermissionDenied, match=r"lacks the permission ve\.migrate"):
        require(viewer, "ve.migrate")


def test_a_user_without_a_role_holds_nothing(make_user: Any) -> None:
    nobody = make_user("nobody")

    assert not any(can(nobody, permission) for permission in PERMISSIONS)


def test_a_superuser_flag_grants_nothing_by_itself(make_user: Any) -> None:
    user = make_user("root")
    user.is_superuser = True
    user.save()

    assert not can(user, "node.manage")


def test_a_scoped_binding_covers_its_part_of_the_tree_alone(make_user: Any) -> None:
    user = make_user("ana", Role.OPERATOR, scope=("node", 1))

    assert can(user, "ve.migrate", Thing(("ve", 7), ("node", 1)))
    assert not can(user, "ve.migrate", Thing(("ve", 8), ("node", 2)))
    assert not can(user, "ve.migrate")
    assert can_anywhere(user, "ve.migrate")


def test_an_inactive_user_holds_nothing(operator: Any) -> None:
    operator.is_active = False

    assert not can(operator, "infrastructure.view")


def test_a_misspelt_permission_is_an_error_not_a_refusal(viewer: Any) -> None:
    with pytest.raises(ValueError, match="unknown permission"):
        can(viewer, "ve.migrat")
    with pytest.raises(ValueError, match="unknown permission"):
        requires("ve.migrat")
