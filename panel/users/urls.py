"""Routes of users and roles."""

from django.urls import path

from panel.users.views import user_actions, users

app_name = "users"
urlpatterns = [
    path("", users.user_list, name="list"),
    path("add/", users.user_add, name="add"),
    path("policy/", user_actions.policy, name="policy"),
    path("<int:pk>/", users.user_page, name="user"),
    path("<int:pk>/name/", user_actions.rename, name="rename"),
    path("<int:pk>/password/", user_actions.password, name="password"),
    path("<int:pk>/roles/", user_actions.grant, name="grant"),
    path("<int:pk>/roles/<int:binding>/revoke/", user_actions.revoke, name="revoke"),
    path("<int:pk>/sessions/<int:session>/end/", user_actions.end_session, name="end_session"),
    *(
        path(f"<int:pk>/{what}/", user_actions.confirm, {"what": what}, name=what.replace("-", "_"))
        for what in user_actions.CONFIRMATIONS
    ),
]
