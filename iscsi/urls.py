"""Routes of iSCSI."""

from django.urls import path

from iscsi.views import initiators, lun_add, lun_dialogs, luns, nodes, target_dialogs, target_form, targets, users

app_name = "iscsi"

urlpatterns = [
    path("", targets.target_list, name="targets"),
    path("targets/add/", target_form.target_add, name="target_add"),
    path("targets/<int:pk>/", targets.target_detail, name="target"),
    path("targets/<int:pk>/menu/", targets.target_menu, name="target_menu"),
    path("targets/<int:pk>/edit/", target_form.target_edit, name="target_edit"),
    path("targets/<int:pk>/start/", targets.target_start, name="target_start"),
    path("targets/<int:pk>/stop/", target_dialogs.target_stop, name="target_stop"),
    path("targets/<int:pk>/move/", target_dialogs.target_move, name="target_move"),
    path("targets/<int:pk>/delete/", target_dialogs.target_delete, name="target_delete"),
    path("targets/<int:pk>/luns/add/", lun_add.lun_add, name="lun_add"),
    path("luns/", luns.lun_list, name="luns"),
    path("luns/<int:pk>/", luns.lun_detail, name="lun"),
    path("luns/<int:pk>/menu/", luns.lun_menu, name="lun_menu"),
    path("luns/<int:pk>/grow/", lun_dialogs.lun_grow, name="lun_grow"),
    path("luns/<int:pk>/snapshot/", lun_dialogs.lun_snapshot, name="lun_snapshot"),
    path("luns/<int:pk>/detach/", lun_dialogs.lun_detach, name="lun_detach"),
    path("luns/<int:pk>/attach/", lun_dialogs.lun_attach, name="lun_attach"),
    path("luns/<int:pk>/delete/", lun_dialogs.lun_delete, name="lun_delete"),
    path("snapshots/<int:pk>/roll-back/", lun_dialogs.snapshot_roll_back, name="snapshot_roll_back"),
    path("snapshots/<int:pk>/delete/", lun_dialogs.snapshot_delete, name="snapshot_delete"),
    path("initiators/", initiators.initiator_list, name="initiators"),
    path("users/", users.user_list, name="users"),
    path("users/add/", users.user_add, name="user_add"),
    path("users/<int:pk>/password/", users.user_secret, name="user_secret"),
    path("users/<int:pk>/remove/", users.user_remove, name="user_remove"),
    path("nodes/", nodes.node_list, name="nodes"),
    path("nodes/add/", nodes.node_add, name="node_add"),
    path("nodes/<int:pk>/again/", nodes.node_again, name="node_again"),
    path("nodes/<int:pk>/withdraw/", nodes.node_withdraw, name="node_withdraw"),
]
