print('started');

const { GLib } = imports.gi;

GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
    print('called back');
    return GLib.SOURCE_REMOVE;
});
GLib.MainContext.default().iteration(false);
