// The signs on the buttons, drawn on a grid of 20 x 20.

const PATHS = {
  select: 'M5 3l10 7-5 1-2 5z',
  polygon: 'M4 13L7 4l8 2 1 7-7 3z',
  rectangle: 'M4 5h12v10H4z',
  circle: 'M10 4a6 6 0 100 12 6 6 0 000-12z',
  point: 'M10 8a2 2 0 100 4 2 2 0 000-4zM10 3v3M10 14v3M3 10h3M14 10h3',
  line: 'M4 15L9 6l4 6 3-7',
  brush: 'M15 3l2 2-7 8-3-1zM7 12c-3 0-2 4-4 4 3 2 7 1 7-3z',
  eraser: 'M4 12l7-8 5 4-7 8H6zM9 6l5 5M5 17h11',
  add: 'M4 12L6 5l7 1 1 5M13 12v6M10 15h6M4 12l4 4',
  subtract: 'M4 12L6 5l7 1 1 5M10 15h6M4 12l4 4',
  fill: 'M10 3a7 7 0 100 14 7 7 0 000-14zM10 7a3 3 0 100 6 3 3 0 000-6zM10 9v2M9 10h2',
  cut: 'M4 5h5v10H4zM11 5h5v10h-5zM10 2v16',
  undo: 'M8 5L4 9l4 4M4 9h8a4 4 0 010 8H9',
  redo: 'M12 5l4 4-4 4M16 9H8a4 4 0 000 8h3',
  fit: 'M4 8V4h4M16 8V4h-4M4 12v4h4M16 12v4h-4',
  look: 'M10 4v2M10 14v2M4 10h2M14 10h2M6 6l1 1M13 13l1 1M14 6l-1 1M6 14l1-1M10 7.5a2.5 2.5 0 100 5z',
  eye: 'M2.500 10C6 4.500 14 4.500 17.500 10 14 15.500 6 15.500 2.500 10zM10 8a2 2 0 100 4 2 2 0 000-4z',
  closed: 'M3 9c4 5 10 5 14 0M5 12l-1.500 2M10 13v2.500M15 12l1.500 2',
  bin: 'M4 6h12M8 6V4h4v2M6 6l1 10h6l1-10',
  twin: 'M4 4h9v9H4zM7 13v3h9V7h-3',
  merge: 'M4 4h8v8H4zM8 8h8v8H8z',
  parts: 'M4 4h5v5H4zM11 11h5v5h-5z',
  holes: 'M4 4h12v12H4zM9 9h2v2H9z',
  under: 'M4 7h8v8H4zM8 4h8v8',
  mask: 'M4 7h3V4h6v3h3v6h-3v3H7v-3H4z',
  up: 'M10 16V4M5 9l5-5 5 5',
  down: 'M10 4v12M5 11l5 5 5-5',
  suggest: 'M10 3l1.500 4.500L16 9l-4.500 1.500L10 15l-1.500-4.500L4 9l4.500-1.500zM15.500 13v4M13.500 15h4',
  check: 'M4 10l4 4 8-9',
  help: 'M7 7.500a3 3 0 115 2c-1 .8-2 1.200-2 2.500M10 15v.5',
  next: 'M7 4l6 6-6 6',
  previous: 'M13 4l-6 6 6 6',
  copy: 'M3 10h10M9 6l4 4-4 4M16 4v12',
  close: 'M5 5l10 10M15 5L5 15',
  flag: 'M5 17V4h9l-2 3 2 3H5',
};

/** An SVG element of one sign, in the colour of the text around it. */
export function icon(name, size = 18) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  for (const [key, value] of Object.entries({
    viewBox: '0 0 20 20', width: size, height: size, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6,
    'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true',
  })) svg.setAttribute(key, value);
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
