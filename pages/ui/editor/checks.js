/**
 * What is probably wrong with a shape as it is drawn: the same rules as core/annotation/checks.py and crossing.py, for
 * live warnings. tests/annotation/check_cases.json holds both to them.
 *
 * @typedef {{kind: string, points?: number[][], box?: number[], rle?: number[]}} WireShape
 * @typedef {{width: number, height: number}} Size
 * @typedef {{kind: string, text: string, place: [number, number]}} Finding
 */

/** Pixels between neighbouring points where a polygon is curved; other presets have no such rule. */
export const SPACING = { satellite: 5, medical: 2 };
const CURVED_DEGREES = [7, 65];
const SLIVER_WIDTH = 1;
const SLIVER_ROUNDNESS = 0.1;
const NO_AREA = 1e-12;
const PAIRS = 5_000_000; // pairs of edges compared before giving up

/**
 * What is wrong with one shape, in the order of the table in checks.py. Takes 0.1 ms for 60 points.
 *
 * @param {WireShape} shape
 * @param {Size} size of the picture in pixels
 * @param {string} preset
 * @returns {Finding[]}
 */
export function findings(shape, size, preset) {
  const points = shape.kind === 'mask' ? cornersOf(shape.box) : shape.points;
  const outlined = shape.kind === 'polygon' || shape.kind === 'oriented_rectangle';
  const ring = outlined ? withoutDoubles(points) : [];
  const found = outlined ? ofOutline(points, ring, size) : withoutArea(shape, points, size);
  found.push(...outside(shape, points, size));
  if (shape.kind === 'polygon' && preset in SPACING) found.push(...coarse(ring, SPACING[preset], size));
  return found;
}

function ofOutline(points, ring, size) {
  const different = new Set(points.map(([x, y]) => `${x} ${y}`)).size;
  const first = within(points[0][0], points[0][1], size);
  if (different < 3) {
    const counted = different === 1 ? '1 point' : `${different} points`;
    return [{ kind: 'few_points', text: `has only ${counted}; a polygon needs 3`, place: first }];
  }
  const crossing = firstCrossing(ring);
  if (crossing) return [{ kind: 'crossing', text: 'crosses itself', place: within(crossing[0], crossing[1], size) }];
  const [originX, originY] = ring[0];
  let twice = 0;
  let perimeter = 0;
  ring.forEach(([x0, y0], i) => {
    const [x1, y1] = ring[(i + 1) % ring.length];
    twice += (x0 - originX) * (y1 - originY) - (x1 - originX) * (y0 - originY);
    perimeter += Math.hypot(x1 - x0, y1 - y0);
  });
  const area = Math.abs(twice) / 2;
  if (area <= NO_AREA * perimeter * perimeter) return [{ kind: 'zero_area', text: 'has no area', place: first }];
  if (2 * area < SLIVER_WIDTH * perimeter && 4 * Math.PI * area < SLIVER_ROUNDNESS * perimeter * perimeter) {
    return [{ kind: 'sliver', text: 'is thinner than a pixel', place: first }];
  }
  return [];
}

function withoutArea(shape, points, size) {
  const [[x0, y0], [x1, y1] = [NaN, NaN]] = points;
  const empty =
    (shape.kind === 'rectangle' && (x0 === x1 || y0 === y1)) ||
    (shape.kind === 'circle' && x0 === x1 && y0 === y1) ||
    (shape.kind === 'mask' && shape.rle.every((count, i) => i % 2 === 0 || count === 0));
  return empty ? [{ kind: 'zero_area', text: 'has no area', place: within(x0, y0, size) }] : [];
}

function outside(shape, points, size) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x);
    bottom = Math.max(bottom, y);
  }
  if (shape.kind === 'circle') {
    const [[x, y], [edgeX, edgeY]] = points;
    const radius = Math.hypot(edgeX - x, edgeY - y);
    [left, top, right, bottom] = [x - radius, y - radius, x + radius, y + radius];
  }
  const place = within((left + right) / 2, (top + bottom) / 2, size);
  if (right < 0 || bottom < 0 || left >= size.width || top >= size.height) {
    return [{ kind: 'outside', text: 'lies outside of the picture', place }];
  }
  const last = shape.kind === 'mask' ? 1 : 0; // its corners are the first and the last pixel
  const over = Math.max(-left, -top, right - (size.width - last), bottom - (size.height - last));
  if (!(over > 0)) return [];
  const text = `reaches over the edge of the picture by ${Math.max(1, whole(over))} px`;
  return [{ kind: 'partly_outside', text, place }];
}

function coarse(ring, spacing, size) {
  const count = ring.length;
  const along = ring.map(([x, y], i) => [ring[(i + 1) % count][0] - x, ring[(i + 1) % count][1] - y]);
  const turns = along.map(([x, y], i) => {
    const [beforeX, beforeY] = along[(i + count - 1) % count];
    return (Math.atan2(beforeX * y - beforeY * x, beforeX * x + beforeY * y) * 180) / Math.PI;
  });
  const bent = (turn) => Math.abs(turn) >= CURVED_DEGREES[0] && Math.abs(turn) <= CURVED_DEGREES[1];
  let gaps = 0;
  let longest = 0;
  let place = [0, 0];
  for (let i = 0; i < count; i++) {
    const [turn, atEnd] = [turns[i], turns[(i + 1) % count]];
    const length = Math.hypot(along[i][0], along[i][1]);
    if (!(length > spacing && bent(turn) && bent(atEnd) && turn * atEnd > 0)) continue;
    gaps += 1;
    if (length > longest) {
      longest = length;
      place = within(ring[i][0] + along[i][0] / 2, ring[i][1] + along[i][1] / 2, size);
    }
  }
  if (!gaps) return [];
  const counted = gaps === 1 ? '1 gap' : `${gaps} gaps`;
  const text = `has ${counted} of up to ${whole(longest)} px between points where it is curved; ${spacing} px is the most`;
  return [{ kind: 'coarse', text, place }];
}

/**
 * A place where a closed outline crosses itself, or null; rules in core/annotation/crossing.py. About linear time.
 *
 * @param {number[][]} ring without doubled points
 * @returns {[number, number] | null}
 */
export function firstCrossing(ring) {
  const count = ring.length;
  const cells = gridOf(ring);
  let compared = 0;
  for (const edges of cells.values()) {
    for (let i = 1; i < edges.length; i++) {
      for (let k = 0; k < i; k++) {
        if (++compared > PAIRS) return null;
        const place = crossingOf(ring, count, edges[k], edges[i]);
        if (place) return place;
      }
    }
  }
  return null;
}

/** The edges in each cell of a grid, by the cell. Its side is such that an edge takes 8 cells at most on average. */
function gridOf(ring) {
  const count = ring.length;
  const boxes = ring.map(([x0, y0], i) => {
    const [x1, y1] = ring[(i + 1) % count];
    return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
  });
  let side = boxes.reduce((sum, [l, t, r, b]) => sum + Math.max(r - l, b - t), 0) / Math.max(count, 1);
  const entries = () =>
    boxes.reduce((sum, [l, t, r, b]) => sum + (Math.floor((r - l) / side) + 2) * (Math.floor((b - t) / side) + 2), 0);
  while (entries() > 8 * count) side *= 2;
  const cells = new Map();
  boxes.forEach(([l, t, r, b], edge) => {
    for (let row = Math.floor(t / side); row <= Math.floor(b / side); row++) {
      for (let column = Math.floor(l / side); column <= Math.floor(r / side); column++) {
        const key = row * 4_194_304 + column; // rows and columns are far fewer
        const cell = cells.get(key);
        if (cell) cell.push(edge);
        else cells.set(key, [edge]);
      }
    }
  });
  return cells;
}

/** Where the outline goes through itself at the edges `first` (ab) and `second` (cd), or null. */
function crossingOf(ring, count, first, second) {
  if ((first + 1) % count === second || (second + 1) % count === first) return null;
  const [a, b, c, d] = [ring[first], ring[(first + 1) % count], ring[second], ring[(second + 1) % count]];
  const [beforeA, beforeC] = [ring[(first + count - 1) % count], ring[(second + count - 1) % count]];
  const [aAt, bAt, cAt, dAt] = [turn(c, d, a), turn(c, d, b), turn(a, b, c), turn(a, b, d)];
  if (opposite(aAt, bAt) && opposite(cAt, dAt)) {
    const share = cAt / (cAt - dAt);
    return [c[0] + share * (d[0] - c[0]), c[1] + share * (d[1] - c[1])];
  }
  if (cAt === 0 && between(a, b, c) && opposite(turn(a, b, beforeC), dAt)) return [c[0], c[1]];
  if (aAt === 0 && between(c, d, a) && opposite(turn(c, d, beforeA), bAt)) return [a[0], a[1]];
  if (a[0] === c[0] && a[1] === c[1] && interleaved(beforeA, a, b, beforeC, d)) return [a[0], a[1]];
  return null;
}

/** Positive if `point` lies right of the line from a to b, as seen on the screen. */
function turn(a, b, point) {
  return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]);
}

function opposite(one, other) {
  return (one < 0 && other > 0) || (one > 0 && other < 0);
}

/** Whether a point on the line through a and b lies between the two. */
function between(a, b, point) {
  return (point[0] - a[0]) * (point[0] - b[0]) + (point[1] - a[1]) * (point[1] - b[1]) < 0;
}

/** Whether at `corner` the way otherBefore - corner - otherAfter goes through the way before - corner - after. */
function interleaved(before, corner, after, otherBefore, otherAfter) {
  const turnsRight = turn(before, corner, after) > 0;
  const sideOf = (point) => {
    const [atBefore, atAfter] = [turn(before, corner, point), turn(corner, after, point)];
    const along =
      (atBefore === 0 && !between(before, point, corner)) || (atAfter === 0 && !between(after, point, corner));
    if (along) return 0;
    return (turnsRight ? atBefore > 0 && atAfter > 0 : atBefore > 0 || atAfter > 0) ? 1 : -1;
  };
  return sideOf(otherBefore) * sideOf(otherAfter) < 0;
}

function withoutDoubles(points) {
  return points.filter(([x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    return x !== nextX || y !== nextY;
  });
}

function cornersOf([left, top, width, height]) {
  return [
    [left, top],
    [left + width - 1, top + height - 1],
  ];
}

/** @returns {[number, number]} */
function within(x, y, size) {
  return [Math.min(Math.max(x, 0), size.width), Math.min(Math.max(y, 0), size.height)];
}

function whole(pixels) {
  return Math.floor(Math.min(pixels, 1e6) + 0.5);
}
