// Every key of the editor, once: the page shows this table, and the editor obeys it.

/**
 * keys: ours.  labelme: what Labelme uses for the same; where it says nothing, ours hold there, too. "mod" is Ctrl, or
 * Command on a Mac.  group: under which heading the table shows it.
 */
export const KEYS = [
  { id: 'polygon', keys: ['w'], labelme: ['n', 'mod+n'], group: 'Draw', text: 'Polygon: click or drag; Enter, double click or the first point closes' },
  { id: 'rectangle', keys: ['r'], labelme: ['mod+r', 'r'], group: 'Draw', text: 'Rectangle: drag' },
  { id: 'circle', keys: ['c'], group: 'Draw', text: 'Circle: drag from its centre' },
  { id: 'point', keys: ['p'], group: 'Draw', text: 'Point' },
  { id: 'line', keys: ['l'], group: 'Draw', text: 'Line: as a polygon, Enter ends it' },
  { id: 'brush', keys: ['b'], group: 'Draw', text: 'Brush' },
  { id: 'eraser', keys: ['e'], group: 'Draw', text: 'Eraser: takes out of the chosen mask, or of every mask under it' },
  { id: 'smaller', keys: ['[', ','], group: 'Draw', text: 'Smaller brush (or Ctrl and wheel)' },
  { id: 'larger', keys: [']', '.'], group: 'Draw', text: 'Larger brush (or Ctrl and wheel)' },
  { id: 'add', keys: ['+', '='], group: 'Draw', text: 'Add a polygon to the chosen shape' },
  { id: 'subtract', keys: ['-'], group: 'Draw', text: 'Take a polygon out of the chosen shape: this makes holes' },
  { id: 'fill', keys: ['f'], group: 'Draw', text: 'Fill the hole that is clicked' },
  { id: 'cut', keys: ['x'], group: 'Draw', text: 'Cut the chosen shape in two along a line' },
  { id: 'finish', keys: ['Enter'], group: 'Draw', text: 'Close the outline; accept the chosen suggestion' },
  { id: 'giveUp', keys: ['Escape'], group: 'Draw', text: 'Give the outline up; choose nothing' },

  { id: 'select', keys: ['v'], labelme: ['mod+j', 'v'], group: 'Change', text: 'Choose and edit: drag points, edges, shapes; Shift chooses more' },
  { id: 'delete', keys: ['d', 'Delete', 'Backspace'], labelme: ['Delete', 'Backspace'], group: 'Change', text: 'Delete the point under the pointer, else the chosen shapes' },
  { id: 'undo', keys: ['mod+z'], group: 'Change', text: 'Undo' },
  { id: 'redo', keys: ['mod+shift+z', 'mod+y'], group: 'Change', text: 'Redo' },
  { id: 'duplicate', keys: ['mod+d'], group: 'Change', text: 'Duplicate' },
  { id: 'copy', keys: ['mod+c'], group: 'Change', text: 'Copy, also to another picture' },
  { id: 'paste', keys: ['mod+v'], group: 'Change', text: 'Paste' },
  { id: 'selectAll', keys: ['mod+a'], group: 'Change', text: 'Choose all shapes' },
  { id: 'merge', keys: ['m'], group: 'Change', text: 'Merge the chosen shapes into one' },
  { id: 'split', keys: ['mod+shift+x'], group: 'Change', text: 'Split the chosen mask into its separate parts' },
  { id: 'fillHoles', keys: ['h'], group: 'Change', text: 'Fill all holes of the chosen shapes' },
  { id: 'removeUnder', keys: ['u'], group: 'Change', text: 'Take the pixels under the chosen shapes out of the others' },
  { id: 'toMask', keys: ['k'], group: 'Change', text: 'Turn the chosen shapes into masks' },
  { id: 'toPolygon', keys: ['o'], group: 'Change', text: 'Turn the chosen masks into polygons along their pixels' },
  { id: 'toSimple', keys: ['shift+o'], group: 'Change', text: 'The same with few points, one pixel off at most; says how well they fit' },
  { id: 'up', keys: ['mod+]', 'mod+ArrowUp'], group: 'Change', text: 'Paint later (over others)' },
  { id: 'down', keys: ['mod+[', 'mod+ArrowDown'], group: 'Change', text: 'Paint earlier (under others)' },
  { id: 'nudge', keys: ['alt+ArrowLeft', 'alt+ArrowRight', 'alt+ArrowUp', 'alt+ArrowDown'], group: 'Change', text: 'Move the chosen shapes by a pixel' },
  { id: 'label', keys: ['1', '2', '3', '4', '5', '6', '7', '8', '9'], group: 'Change', text: 'Choose the label; while choosing shapes (V) they get it' },
  { id: 'ignore', keys: ['0'], group: 'Change', text: 'The label “not labelled”: these pixels are left out of training' },

  { id: 'save', keys: ['s', 'mod+s'], group: 'Pictures', text: 'Done, and on to the next picture' },
  { id: 'review', keys: ['q'], group: 'Pictures', text: 'Needs review, and on to the next picture' },
  { id: 'next', keys: ['ArrowRight', 'PageDown'], labelme: ['d', 'ArrowRight', 'PageDown'], group: 'Pictures', text: 'Next picture' },
  { id: 'previous', keys: ['ArrowLeft', 'PageUp'], labelme: ['a', 'ArrowLeft', 'PageUp'], group: 'Pictures', text: 'Picture before' },
  { id: 'suggest', keys: ['g'], group: 'Pictures', text: 'Let the model suggest shapes' },
  { id: 'acceptAll', keys: ['shift+Enter'], group: 'Pictures', text: 'Accept all suggestions' },
  { id: 'fromPrevious', keys: ['mod+shift+v'], group: 'Pictures', text: 'Copy the shapes of the picture before' },

  { id: 'hide', keys: [' '], labelme: ['t', ' '], group: 'Look', text: 'Hide the masks while it is held' },
  { id: 'mode', keys: ['n'], labelme: ['i'], group: 'Look', text: 'Next way of looking: fill, outline, curtain, blink' },
  { id: 'fit', keys: ['z', 'Home'], labelme: ['mod+f', 'z'], group: 'Look', text: 'Fit the picture into the view' },
  { id: 'actual', keys: ['y'], group: 'Look', text: 'One pixel of the picture as one of the screen' },
  { id: 'zoomIn', keys: ['mod+=', 'mod++'], group: 'Look', text: 'Zoom in (or wheel)' },
  { id: 'zoomOut', keys: ['mod+-'], group: 'Look', text: 'Zoom out (or wheel)' },
  { id: 'help', keys: ['?'], group: 'Look', text: 'This list' },
];

const MAC = /Mac|iP(hone|ad)/.test(navigator.platform);

/** Which entry of KEYS an event means, and which of its keys; null when none. */
export function commandOf(event, scheme) {
  const name = nameOf(event);
  for (const entry of KEYS) {
    const keys = (scheme === 'labelme' && entry.labelme) || entry.keys;
    if (keys.includes(name)) return { id: entry.id, key: name };
  }
  return null;
}

function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // a sign that needs Shift on this keyboard is the sign all the same: "+" and "?" count as typed
  const shifts = /^[a-z]$/.test(key) || event.key.length > 1;
  let name = event.shiftKey && shifts ? `shift+${key}` : key;
  if (event.altKey) name = `alt+${name}`;
  if (event.ctrlKey || event.metaKey) name = `mod+${name}`;
  return name;
}

/** A key as people read it. */
export function readable(key) {
  const words = { ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' };
  return key.split(/\+(?=.)/).map((part) => ({ mod: MAC ? '⌘' : 'Ctrl', shift: 'Shift', alt: 'Alt' })[part]
    ?? words[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(' ');
}
