print("started", flush=True)

from gi.repository import GLib

GLib.idle_add(lambda: print("called back"))
GLib.MainContext.default().iteration(False)
