io.stdout:setvbuf("no")
print("started")

local GLib = require("lgi").GLib

GLib.idle_add(GLib.PRIORITY_DEFAULT, function()
	print("called back")
	return false
end)
GLib.MainContext.default():iteration(false)
