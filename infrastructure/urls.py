"""Routes of nodes, VEs and the tree."""

from django.urls import path

from infrastructure.views import bulk, console, migrate, node_actions, node_add, node_tabs, nodes, tree, ve_actions, ves

app_name = "infrastructure"

urlpatterns = [
    path("", nodes.home, name="home"),
    path("tree/", tree.tree_fragment, name="tree"),
    path("tree/fold/", tree.tree_fold, name="tree_fold"),
    path("tree/ves/", tree.tree_ves, name="tree_ves"),
    path("infrastructure/nodes/", nodes.node_list, name="nodes"),
    path("infrastructure/nodes/add/", node_add.node_add, name="node_add"),
    path("infrastructure/nodes/<int:pk>/", nodes.node_detail, name="node"),
    path("infrastructure/nodes/<int:pk>/menu/", nodes.node_menu, name="node_menu"),
    path("infrastructure/nodes/<int:pk>/maintenance/", node_actions.node_maintenance, name="node_maintenance"),
    path("infrastructure/nodes/<int:pk>/location/", node_actions.node_location, name="node_location"),
    path("infrastructure/nodes/<int:pk>/onboard/", node_actions.node_onboard, name="node_onboard"),
    path("infrastructure/nodes/<int:pk>/log/", node_tabs.node_log, name="node_log"),
    path("infrastructure/nodes/<int:pk>/services/", node_actions.node_services, name="node_services"),
    path("infrastructure/nodes/<int:pk>/certificates/", node_actions.node_certificates, name="node_certificates"),
    path("infrastructure/nodes/<int:pk>/remove/", node_actions.node_remove, name="node_remove"),
    path("infrastructure/bulk/", bulk.bulk, name="bulk"),
    path("infrastructure/bulk/bar/", bulk.bulk_bar, name="bulk_bar"),
    path("infrastructure/ves/", ves.ve_list, name="ves"),
    path("infrastructure/ves/<int:pk>/", ves.ve_detail, name="ve"),
    path("infrastructure/ves/<int:pk>/menu/", ves.ve_menu, name="ve_menu"),
    path("infrastructure/ves/<int:pk>/start/", ve_actions.ve_start, name="ve_start"),
    path("infrastructure/ves/<int:pk>/stop/", ve_actions.ve_stop, name="ve_stop"),
    path("infrastructure/ves/<int:pk>/force-off/", ve_actions.ve_force_off, name="ve_force_off"),
    path("infrastructure/ves/<int:pk>/forget/", ve_actions.ve_forget, name="ve_forget"),
    path("infrastructure/ves/<int:pk>/restart/", ve_actions.ve_restart, name="ve_restart"),
    path("infrastructure/ves/<int:pk>/pause/", ve_actions.ve_pause, name="ve_pause"),
    path("infrastructure/ves/<int:pk>/resume/", ve_actions.ve_resume, name="ve_resume"),
    path("infrastructure/ves/<int:pk>/console/", console.console, name="console"),
    path("infrastructure/ves/<int:pk>/console/ticket/", console.console_ticket, name="console_ticket"),
    path("infrastructure/ves/<int:pk>/migrate/", migrate.ve_migrate, name="ve_migrate"),
    path("infrastructure/ves/<int:pk>/migrate/checks/", migrate.ve_migrate_checks, name="ve_migrate_checks"),
]
