"""Routes of one's own account. Those of django-allauth keep their names, which the library uses."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from django.urls import path
from django.views.decorators.cache import never_cache

from panel.users.views import account as own

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("login/code/", mfa.authenticate, name="mfa_authenticate"),
    path("logout/", account.logout, name="account_logout"),
    path("password/", own.PasswordChange.as_view(), name="account_change_password"),
    path("confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("confirm/code/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("two-factor/", mfa.index, name="mfa_index"),
    path("two-factor/app/", own.ActivateApp.as_view(), name="mfa_activate_totp"),
    path("two-factor/off/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("two-factor/codes/", never_cache(codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("two-factor/codes/new/", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("sessions/", own.own_sessions, name="own_sessions"),
    path("sessions/<int:session>/end/", own.end_own_session, name="end_own_session"),
    path("sessions/end-others/", own.end_other_sessions, name="end_other_sessions"),
]
