// What every page runs. Each module wires itself up by events on the document, so that swapped fragments need nothing.
import "./morph.js";
import "./times.js";
import "./live.js";
import "./theme.js";
import "./menus.js";
import "./dialogs.js";
import "./notes.js";
import "./navigation.js";
import "./shortcuts.js";
import "./tables.js";
import "./copy.js";
import "./tree.js";
import "./refresh.js";
import "./migrate.js";
import "./dock.js";
