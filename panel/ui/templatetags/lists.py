"""The cells of a list's rows: only those of the shown columns are rendered, in the order that was chosen.

    {% cells %}
    {% cell "status" %}<td>…</td>{% endcell %}
    {% cell "name" %}<td>…</td>{% endcell %}
    {% endcells %}

The row stands in `row`, its list in `table`. A list whose rows can be selected begins with the checkbox.

    <td class="mn">{% row_menu "storage:disk_menu" row.disk.number row.disk %}</td>

is the row's menu: a route that answers with `components/_menu_items.html`, its argument, and the object's name.
"""

from django import template
from django.template.base import FilterExpression, Node, NodeList, Parser, TextNode, Token
from django.template.context import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


class CellNode(Node):
    """One cell as declared."""

    def __init__(self, key: str, nodelist: NodeList) -> None:
        self.key = key
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        return self.nodelist.render(context)


class CellsNode(Node):
    """All cells of a row."""

    child_nodelists = ("declared",)

    def __init__(self, declared: NodeList) -> None:
        self.declared = declared
        self.cells = {node.key: node for node in declared if isinstance(node, CellNode)}

    def render(self, context: Context) -> SafeString:
        table = context["table"]
        parts = [_checkbox(*table.object_of(context["row"]))] if table.selects else []
        for column in table.shown:
            if column.key not in self.cells:
                raise template.TemplateSyntaxError(f"{table.row_template} has no cell for the column {column.key}")
            parts.append(self.cells[column.key].render(context))
        return mark_safe("".join(parts))  # noqa: S308  # each part is a rendered template or comes from format_html


@register.tag("cells")
def do_cells(parser: Parser, token: Token) -> CellsNode:
    """Hold the cells of a row; nothing else may stand between them."""
    nodelist = parser.parse(("endcells",))
    parser.delete_first_token()
    for node in nodelist:
        blank = isinstance(node, TextNode) and not node.s.strip()
        if not isinstance(node, CellNode) and not blank:
            raise template.TemplateSyntaxError("Only cells may stand in {% cells %}")
    return CellsNode(nodelist)


@register.tag("cell")
def do_cell(parser: Parser, token: Token) -> CellNode:
    """One column's cell, by the column's key."""
    parts = token.split_contents()
    if len(parts) != 2:
        raise template.TemplateSyntaxError("{% cell %} takes the key of a column")
    key = FilterExpression(parts[1], parser).resolve(Context())
    nodelist = parser.parse(("endcell",))
    parser.delete_first_token()
    return CellNode(str(key), nodelist)


@register.simple_tag
def row_menu(route: str, argument: int, name: object) -> SafeString:
    """The button of a row's menu; what is in it is fetched when it is opened."""
    return format_html(
        '<button type="button" class="btn btn-q btn-s btn-i ti ti-dots-vertical" aria-label="Actions for {}"'
        ' aria-haspopup="menu" hx-get="{}" hx-target="#row-menu" hx-swap="innerHTML"></button>',
        name,
        reverse(route, args=[argument]),
    )


def _checkbox(pk: int, name: str) -> SafeString:
    return format_html(
        '<td class="ck"><input type="checkbox" id="select-{}" data-select="{}" aria-label="Select {}"'
        ' autocomplete="off"></td>',
        pk,
        pk,
        name,
    )
